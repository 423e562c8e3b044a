// Connections, and the messages of HTTP/1.1 on them: one at a time in each direction, since nobody pipelines. Bodies are
// counted, not kept.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FDS 65536
#define MAX_HEAD 16384

enum role { UNUSED, INPUT, TIMER, LISTENER, UPSTREAM, CLIENT };
enum { IN_HEAD = -2, CHUNKED = -1 };

struct message {
  char *bytes;
  int length;
};

struct connection {
  enum role role;
  int upstream;          // whose listener or connection it is
  int64_t due;           // when the request under way should have been sent
  char waiting;          // a request has been sent and not been answered
  char resting;          // in the queue of idle connections
  char good;             // the head of the answer says 200
  int left;              // of the message being read: bytes of the body to come, IN_HEAD or CHUNKED
  int kept;              // bytes of an unfinished head
  char *head;
  char tail[5];          // where a chunked message must end in an empty chunk
  struct iovec out[2];   // what is still to be sent
};

static struct connection connections[MAX_FDS];
static struct connection connections[MAX_FDS];
static char scratch[262144 + 1];
static int epoll;

// What happens when a whole message has come, and when a connection has gone: the program says.
static void finish_message(int fd);
static void lose(int fd);

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int fd, enum role role) {
  if (fd >= MAX_FDS) { fprintf(stderr, "more than %d descriptors\n", MAX_FDS); exit(1); }
  struct connection *c = &connections[fd];
  char *head = c->head;
  memset(c, 0, sizeof *c);
  c->head = head;
  c->role = role;
  c->left = IN_HEAD;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void forget(int fd) {
  connections[fd].role = UNUSED;
  connections[fd].resting = 0;
  close(fd);
}

static int no_delay(int fd) {
  int on = 1;
  return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int open_listener(int upstream) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) die("listen");
  if (getsockname(fd, (void *)&address, &length)) die("getsockname");
  watch(fd, LISTENER);
  connections[fd].upstream = upstream;
  return ntohs(address.sin_port);
}

static int open_client(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = loopback(port);
  if (fd < 0) die("socket");
  if (connect(fd, (void *)&address, sizeof address)) {
    close(fd);
    return -1;
  }
  no_delay(fd);
  watch(fd, CLIENT);
  return fd;
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    no_delay(fd);
    watch(fd, UPSTREAM);
    connections[fd].upstream = connections[listener].upstream;
  }
}

// Sends what is left to send; what the socket does not take now goes when it can.
static void push(int fd) {
  struct connection *c = &connections[fd];
  struct msghdr message = {.msg_iov = c->out, .msg_iovlen = 2};
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) return;   // the end of the connection will be read
  for (int i = 0; i < 2 && sent > 0; i++) {
    size_t part = (size_t)sent < c->out[i].iov_len ? (size_t)sent : c->out[i].iov_len;
    c->out[i].iov_base = (char *)c->out[i].iov_base + part;
    c->out[i].iov_len -= part;
    sent -= part;
  }
}

static void begin_sending(int fd, struct message first, struct message second) {
  struct connection *c = &connections[fd];
  c->out[0] = (struct iovec){first.bytes, first.length};
  c->out[1] = (struct iovec){second.bytes, second.length};
  push(fd);
  if (c->out[0].iov_len + c->out[1].iov_len == 0) return;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void send_more(int fd) {
  struct connection *c = &connections[fd];
  push(fd);
  if (c->out[0].iov_len + c->out[1].iov_len) return;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

// What comes after the head.
static void read_body(int fd, const char *bytes, int count) {
  struct connection *c = &connections[fd];
  if (c->left == CHUNKED) {
    int fresh = count < 5 ? count : 5;
    memmove(c->tail, c->tail + fresh, 5 - fresh);
    memcpy(c->tail + 5 - fresh, bytes + count - fresh, fresh);
    if (!memcmp(c->tail, "0\r\n\r\n", 5)) finish_message(fd);
    return;
  }
  if (count > c->left) c->good = 0;
  c->left -= count < c->left ? count : c->left;
  if (c->left == 0) finish_message(fd);
}

// `count` bytes of the message stand in scratch.
static void read_head(int fd, int count) {
  struct connection *c = &connections[fd];
  scratch[count] = 0;
  char *blank = memmem(scratch, count, "\r\n\r\n", 4);
  if (!blank) {
    if (count > MAX_HEAD) return lose(fd);
    if (!c->head) c->head = malloc(MAX_HEAD);
    memcpy(c->head, scratch, count);
    c->kept = count;
    return;
  }
  int head = blank + 4 - scratch;
  blank[2] = 0;
  char *length = strcasestr(scratch, "\ncontent-length:");
  int chunked = !length && strcasestr(scratch, "\ntransfer-encoding:") != NULL;
  c->good = !memcmp(scratch + 9, "200", 3);
  c->left = length ? atoi(length + 16) : chunked ? CHUNKED : 0;
  memset(c->tail, 0, sizeof c->tail);
  if (count > head || c->left == 0) read_body(fd, scratch + head, count - head);
}

static void read_from(int fd) {
  struct connection *c = &connections[fd];
  if (c->kept) memcpy(scratch, c->head, c->kept);
  int bytes = recv(fd, scratch + c->kept, sizeof scratch - 1 - c->kept, MSG_DONTWAIT);
  if (bytes < 0 && errno == EAGAIN) return;
  if (bytes <= 0) return lose(fd);
  if (c->left == IN_HEAD) read_head(fd, c->kept + bytes);
  else read_body(fd, scratch, bytes);
}
