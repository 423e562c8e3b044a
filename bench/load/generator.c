// Both ends of a proxy in one epoll loop on one thread: the upstreams that it forwards to, and the clients that load
// it. One loop costs a few microseconds a request, so on two cores the proxy is what is measured.
//
//   generator REQUESTS ANSWERS
//
// Both files hold messages, each after its length as a little-endian 32-bit number. Clients send the requests in turn;
// there is one upstream per answer. Prints {"upstreams":[port,...]} and then obeys lines on its input:
//
//   run PORT CONNECTIONS RATE WARM_MS MEASURE_MS PID,PID...
//
// RATE 0 is a closed loop: every connection sends as soon as it has its answer. Another RATE is an open loop: requests
// fall due at constant intervals whatever the answers do, and latency counts from that instant, so a stall is felt by
// every request that it held up. Each run prints one line of JSON. End of input ends the program.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "latencies.h"
#include "usage.h"

#define MAX_FDS 8192
#define MAX_MESSAGES 4096
#define MAX_UPSTREAMS 16
#define BUFFER 65536
#define BACKLOG (1 << 20)
#define SECOND 1000000000LL

enum role { UNUSED, INPUT, TIMER, LISTENER, UPSTREAM, CLIENT };

struct message {
  char *bytes;
  int length;
};

struct connection {
  enum role role;
  int upstream;   // whose listener or connection it is
  int filled;     // bytes in the buffer
  int needed;     // bytes of the whole message; 0 until its head has been read
  int64_t due;    // when the request under way should have been sent
  int waiting;    // a request has been sent and not been answered
  char *buffer;
};

static struct connection connections[MAX_FDS];
static struct message requests[MAX_MESSAGES], answers[MAX_UPSTREAMS];
static int request_count, answer_count, next_request, epoll;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

// ---- connections ----

static void watch(int fd, enum role role) {
  if (fd >= MAX_FDS) { fprintf(stderr, "more than %d descriptors\n", MAX_FDS); exit(1); }
  struct connection *c = &connections[fd];
  if (!c->buffer && (role == UPSTREAM || role == CLIENT)) c->buffer = malloc(BUFFER + 1);
  c->role = role;
  c->filled = c->needed = c->waiting = 0;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void forget(int fd) {
  connections[fd].role = UNUSED;
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
  if (fd < 0 || bind(fd, (void *)&address, sizeof address) || listen(fd, 1024)) die("listen");
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

// Where the message in the buffer ends, 0 while that cannot be told. Messages come one at a time: nobody pipelines.
static int end_of_message(struct connection *c) {
  c->buffer[c->filled] = 0;
  char *blank = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
  if (!blank) return 0;
  int head = blank + 4 - c->buffer;
  blank[2] = 0;
  char *length = strcasestr(c->buffer, "\ncontent-length:");
  int chunked = !length && strcasestr(c->buffer, "\ntransfer-encoding:") != NULL;
  blank[2] = '\r';
  if (length) return head + atoi(length + 16);
  if (!chunked) return head;
  return c->filled >= head + 5 && !memcmp(c->buffer + c->filled - 5, "0\r\n\r\n", 5) ? c->filled : 0;
}

// ---- one run ----

static struct {
  int active, recording, port;
  int64_t interval, start, measure_from, end, measured_from;
  uint64_t scheduled;   // requests that have fallen due
  uint64_t answered, errors, served[MAX_UPSTREAMS];
  int64_t cpu, own;
  char pids[512];
  int idle[MAX_FDS], idle_count;
  int64_t backlog[BACKLOG];   // due instants without a free connection
  unsigned backlog_head, backlog_tail;
} run;
static int timer;

static void send_request(int fd, int64_t due) {
  struct connection *c = &connections[fd];
  struct message *request = &requests[next_request];
  next_request = (next_request + 1) % request_count;
  c->due = due;
  c->filled = c->needed = 0;
  c->waiting = 1;
  if (send(fd, request->bytes, request->length, MSG_NOSIGNAL) != request->length) run.errors++;
}

static void take_answer(int fd) {
  struct connection *c = &connections[fd];
  int64_t t = now();
  if (c->filled > c->needed || memcmp(c->buffer + 9, "200", 3)) run.errors++;
  if (run.recording) {
    run.answered++;
    record(t - c->due);
  }
  c->waiting = c->filled = c->needed = 0;
  if (!run.interval) send_request(fd, t);
  else if (run.backlog_head != run.backlog_tail) send_request(fd, run.backlog[run.backlog_head++ % BACKLOG]);
  else run.idle[run.idle_count++] = fd;
}

static void send_due(int64_t t) {
  for (; run.start + (int64_t)run.scheduled * run.interval <= t; run.scheduled++) {
    int64_t due = run.start + (int64_t)run.scheduled * run.interval;
    if (run.idle_count) send_request(run.idle[--run.idle_count], due);
    else run.backlog[run.backlog_tail++ % BACKLOG] = due;
  }
}

static void lose(int fd) {
  struct connection *c = &connections[fd];
  int was_client = c->role == CLIENT, was_waiting = c->waiting;
  int64_t due = c->due;
  forget(fd);
  if (!was_client || !run.active) return;
  for (int i = 0; i < run.idle_count; i++)
    if (run.idle[i] == fd) run.idle[i--] = run.idle[--run.idle_count];
  if (was_waiting) run.errors++;
  int again = open_client(run.port);
  if (again < 0) run.errors++;
  else if (was_waiting) send_request(again, due);
  else run.idle[run.idle_count++] = again;
}

static void read_from(int fd) {
  struct connection *c = &connections[fd];
  int bytes = recv(fd, c->buffer + c->filled, BUFFER - c->filled, MSG_DONTWAIT);
  if (bytes < 0 && errno == EAGAIN) return;
  if (bytes <= 0) return lose(fd);
  c->filled += bytes;
  if (!c->needed) c->needed = end_of_message(c);
  if (!c->needed || c->filled < c->needed) return;
  if (c->role == CLIENT) return take_answer(fd);
  c->filled = c->needed = 0;
  run.served[c->upstream]++;
  send(fd, answers[c->upstream].bytes, answers[c->upstream].length, MSG_NOSIGNAL);
}

static void set_timer(int64_t interval) {
  struct itimerspec at = {.it_interval = {interval / SECOND, interval % SECOND}, .it_value = {interval / SECOND, interval % SECOND}};
  timerfd_settime(timer, 0, &at, NULL);
}

static void begin_run(const char *line) {
  int count, rate, warm_ms, measure_ms;
  memset(&run, 0, offsetof(__typeof__(run), backlog));
  run.backlog_head = run.backlog_tail = 0;
  if (sscanf(line, "run %d %d %d %d %d %511s", &run.port, &count, &rate, &warm_ms, &measure_ms, run.pids) < 5 || count < 1 || count > MAX_FDS / 4) {
    printf("{\"error\":\"cannot read the command\"}\n");
    return;
  }
  for (int i = 0; i < count; i++) {
    int fd = open_client(run.port);
    if (fd < 0) die("connect");
    run.idle[run.idle_count++] = fd;
  }
  run.interval = rate ? SECOND / rate : 0;
  run.start = now();
  run.measure_from = run.start + warm_ms * 1000000LL;
  run.end = run.measure_from + measure_ms * 1000000LL;
  run.active = 1;
  if (rate) set_timer(run.interval);
  else while (run.idle_count) send_request(run.idle[--run.idle_count], run.start);
}

static void begin_recording(void) {
  memset(run.served, 0, sizeof run.served);
  forget_latencies();
  run.errors = 0;
  run.cpu = cpu_of(run.pids);
  run.own = own_cpu();
  run.measured_from = now();
  run.recording = 1;
}

static void end_run(void) {
  double seconds = (now() - run.measured_from) / 1e9;
  double cpu_us = (cpu_of(run.pids) - run.cpu) / 1e3, own_us = (own_cpu() - run.own) / 1e3;
  uint64_t waiting = run.backlog_tail - run.backlog_head;
  set_timer(0);
  run.active = run.recording = 0;
  for (int fd = 0; fd < MAX_FDS; fd++) {
    if (connections[fd].role != CLIENT) continue;
    waiting += connections[fd].waiting;
    forget(fd);
  }
  printf("{\"seconds\":%.4f,\"answered\":%lu,\"errors\":%lu,\"waiting\":%lu,\"cpuUs\":%.1f,\"generatorUs\":%.1f,\"residentKb\":%ld,", seconds, run.answered, run.errors, waiting, cpu_us, own_us, resident_kb(run.pids));
  printf("\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"served\":[", percentile_us(50), percentile_us(90), percentile_us(99), percentile_us(99.9), longest / 1000.0);
  for (int i = 0; i < answer_count; i++) printf("%s%lu", i ? "," : "", run.served[i]);
  printf("]}\n");
}

// ---- commands ----

static void read_command(void) {
  static char line[1024];
  static int filled;
  int bytes = read(0, line + filled, sizeof line - 1 - filled);
  if (bytes <= 0) exit(0);
  filled += bytes;
  line[filled] = 0;
  if (!strchr(line, '\n')) return;
  filled = 0;
  begin_run(line);
}

static int read_messages(const char *path, struct message *into, int most) {
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  int count = 0;
  for (uint32_t length; count < most && fread(&length, 4, 1, file) == 1; count++) {
    into[count].length = length;
    into[count].bytes = malloc(length);
    if (fread(into[count].bytes, 1, length, file) != length) die(path);
  }
  fclose(file);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: generator REQUESTS ANSWERS\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setvbuf(stdout, NULL, _IOLBF, 0);
  request_count = read_messages(argv[1], requests, MAX_MESSAGES);
  answer_count = read_messages(argv[2], answers, MAX_UPSTREAMS);
  if (!request_count || !answer_count) return 2;
  epoll = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  watch(0, INPUT);
  watch(timer, TIMER);
  printf("{\"upstreams\":[");
  for (int i = 0; i < answer_count; i++) printf("%s%d", i ? "," : "", open_listener(i));
  printf("]}\n");

  struct epoll_event events[512];
  for (;;) {
    int count = epoll_wait(epoll, events, 512, run.active ? 10 : -1);
    int64_t t = now();
    if (run.active && !run.recording && t >= run.measure_from) begin_recording();
    if (run.active && t >= run.end) end_run();
    if (run.active && run.interval) send_due(t);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      uint64_t expirations;
      switch (connections[fd].role) {
        case INPUT: read_command(); break;
        case TIMER: if (read(timer, &expirations, sizeof expirations) < 0) break; break;
        case LISTENER: accept_all(fd); break;
        case UPSTREAM: case CLIENT: read_from(fd); break;
        case UNUSED: break;
      }
    }
  }
}
