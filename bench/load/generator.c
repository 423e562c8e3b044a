// Both ends of a proxy in one epoll loop on one thread: the upstreams that it forwards to, and the clients that load
// it. One loop costs a few microseconds a request, so on two cores the proxy is what is measured.
//
//   generator UPSTREAMS
//
// Prints {"upstreams":[port,...]} and then obeys lines on its input, each answered with one line of JSON:
//
//   load REQUESTS ANSWERS
//   run PORT CONNECTIONS RATE WARM_MS MEASURE_MS SHARE PID,PID...
//   hold PORT CONNECTIONS REQUESTS SETTLE_MS PID,PID...
//
// load reads what is sent from now on. Both files hold records, each after its length as a little-endian 32-bit number:
// the body of all requests and then their heads, which clients send in turn; one answer for each upstream.
//
// run measures. RATE 0 is a closed loop: every connection sends as soon as it has its answer. Another RATE is an open
// loop: requests fall due at constant intervals whatever the answers do, and latency counts from that instant, so a
// stall is felt by every request that it held up. SHARE is about the threads that serve the connections: -1 does not
// ask, 0 finds out, 1 to 99 opens connections until that percentage of them is on one thread and the rest on another.
//
// hold opens connections, sends REQUESTS on each, one after the other, and leaves them idle; it tells what the memory
// was before and after SETTLE_MS, and how many connections were lost. End of input ends the program.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "connections.h"
#include "jobs.h"
#include "latencies.h"
#include "usage.h"

#define BACKLOG (1 << 20)
#define SECOND 1000000000LL
#define PROBES 40    // requests by which the thread behind a connection shows
#define AT_ONCE 32   // requests under way while connections are opened to be held

static struct job *job;
static int upstream_count, next_request, timer;
static char line[1024];
static int line_filled;

static struct {
  int looping, recording, port;
  int64_t interval, start;
  uint64_t scheduled;   // requests that have fallen due
  uint64_t answered, errors, lost, served[MAX_UPSTREAMS];
  int waiting;
} run;
static int idle[MAX_FDS];
static unsigned idle_head, idle_tail;
static int64_t backlog[BACKLOG];   // due instants without a free connection
static unsigned backlog_head, backlog_tail;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

// ---- requests and answers ----

static void rest(int fd) {
  connections[fd].resting = 1;
  idle[idle_tail++ % MAX_FDS] = fd;
}

// The connection that has rested longest, so that all carry alike; -1 if none rests.
static int wake(void) {
  while (idle_head != idle_tail) {
    int fd = idle[idle_head++ % MAX_FDS];
    if (!connections[fd].resting) continue;
    connections[fd].resting = 0;
    return fd;
  }
  return -1;
}

static void send_request(int fd, int64_t due) {
  struct connection *c = &connections[fd];
  struct message head = job->heads[next_request];
  next_request = (next_request + 1) % job->count;
  c->due = due;
  c->waiting = 1;
  run.waiting++;
  begin_sending(fd, head, job->body);
}

static void take_answer(int fd) {
  struct connection *c = &connections[fd];
  int64_t t = now();
  if (!c->good) run.errors++;
  if (run.recording) {
    run.answered++;
    record(t - c->due);
  }
  c->waiting = 0;
  run.waiting--;
  if (!run.looping) return;
  if (!run.interval) send_request(fd, t);
  else if (backlog_head != backlog_tail) send_request(fd, backlog[backlog_head++ % BACKLOG]);
  else rest(fd);
}

static void send_due(int64_t t) {
  for (; run.start + (int64_t)run.scheduled * run.interval <= t; run.scheduled++) {
    int64_t due = run.start + (int64_t)run.scheduled * run.interval;
    int fd = wake();
    if (fd >= 0) send_request(fd, due);
    else backlog[backlog_tail++ % BACKLOG] = due;
  }
}

static void lose(int fd) {
  struct connection *c = &connections[fd];
  int was_client = c->role == CLIENT, was_waiting = c->waiting;
  int64_t due = c->due;
  forget(fd);
  if (!was_client) return;
  run.lost++;
  if (was_waiting) {
    run.errors++;
    run.waiting--;
  }
  if (!run.looping) return;
  int again = open_client(run.port);
  if (again < 0) run.errors++;
  else if (was_waiting) send_request(again, due);
  else rest(again);
}

static void finish_message(int fd) {
  struct connection *c = &connections[fd];
  c->left = IN_HEAD;
  c->kept = 0;
  if (c->role == CLIENT) return take_answer(fd);
  run.served[c->upstream]++;
  begin_sending(fd, job->answer[c->upstream], (struct message){NULL, 0});
}

static void read_command(void) {
  int bytes = read(0, line + line_filled, sizeof line - 1 - line_filled);
  if (bytes <= 0) exit(0);
  line_filled += bytes;
  line[line_filled] = 0;
}

// Waits for something to happen, at most so many milliseconds, and does what is to be done about it.
static void turn(int ms) {
  struct epoll_event events[512];
  int count = epoll_wait(epoll, events, 512, ms);
  uint64_t expirations;
  for (int i = 0; i < count; i++) {
    int fd = events[i].data.fd;
    switch (connections[fd].role) {
      case INPUT: read_command(); break;
      case TIMER: if (read(timer, &expirations, sizeof expirations) < 0) break; break;
      case LISTENER: accept_all(fd); break;
      case UPSTREAM: case CLIENT:
        if (events[i].events & EPOLLOUT) send_more(fd);
        if (events[i].events & ~EPOLLOUT) read_from(fd);
        break;
      case UNUSED: break;
    }
  }
}

// ---- which thread serves a connection ----

static struct thread_use before[MAX_THREADS], after[MAX_THREADS];
static int threads[MAX_THREADS], thread_count, on_thread[MAX_THREADS];

// The thread whose CPU time grows most while requests go over the connection and nowhere else; -1 if none.
static int busiest_thread(int fd, const char *pids) {
  int known = threads_of(pids, before), most = -1;
  int64_t growth = 0;
  for (int i = 0; i < PROBES; i++) {
    send_request(fd, now());
    while (connections[fd].role == CLIENT && connections[fd].waiting) turn(10);
  }
  int seen = threads_of(pids, after);
  for (int i = 0; i < seen; i++)
    for (int k = 0; k < known; k++)
      if (after[i].id == before[k].id && after[i].ns - before[k].ns > growth) {
        growth = after[i].ns - before[k].ns;
        most = after[i].id;
      }
  return most;
}

// An index of threads. Now and then a compiler's thread does more than the worker, hardly twice.
static int thread_behind(int fd, const char *pids) {
  int id = busiest_thread(fd, pids);
  for (int again; (again = busiest_thread(fd, pids)) != id && connections[fd].role == CLIENT;) id = again;
  for (int i = 0; i < thread_count; i++) if (threads[i] == id) return i;
  if (thread_count == MAX_THREADS) return -1;
  threads[thread_count] = id;
  return thread_count++;
}

// Opens the connections of a run and lets them rest; false if they cannot be spread as `share` says.
static int open_spread(int port, int count, int share, const char *pids) {
  int opened = 0, target[2] = {count * share / 100, count - count * share / 100};
  thread_count = 0;
  memset(on_thread, 0, sizeof on_thread);
  for (int tries = 0; opened < count; tries++) {
    int fd = open_client(port);
    if (fd < 0) die("connect");
    if (share >= 0) {
      int thread = thread_behind(fd, pids);
      if (tries == 16 * count || thread < 0) return 0;
      if (share > 0 && (thread > 1 || on_thread[thread] == target[thread])) {
        forget(fd);
        continue;
      }
      on_thread[thread]++;
    }
    rest(fd);
    opened++;
  }
  return 1;
}

// ---- commands ----

static void close_clients(void) {
  for (int fd = 0; fd < MAX_FDS; fd++) if (connections[fd].role == CLIENT) forget(fd);
}

static void start_afresh(void) {
  memset(&run, 0, sizeof run);
  idle_head = idle_tail = backlog_head = backlog_tail = 0;
}

static void set_timer(int64_t interval) {
  struct itimerspec at = {.it_interval = {interval / SECOND, interval % SECOND}, .it_value = {interval / SECOND, interval % SECOND}};
  timerfd_settime(timer, 0, &at, NULL);
}

static void work_until(int64_t end) {
  for (int64_t t; (t = now()) < end;) {
    if (run.interval) send_due(t);
    turn(10);
  }
}

static const char *obey_run(void) {
  int count, rate, warm_ms, measure_ms, share;
  char pids[512] = "";
  start_afresh();
  if (sscanf(line, "run %d %d %d %d %d %d %511s", &run.port, &count, &rate, &warm_ms, &measure_ms, &share, pids) < 6) return "cannot read the command";
  if (count < 1 || count > MAX_FDS / 4 || !job) return "nothing to send, or too many connections";
  if (!open_spread(run.port, count, share, pids)) {
    close_clients();
    return "the connections cannot be spread so over two threads";
  }
  run.errors = 0;
  run.looping = 1;
  run.start = now();
  if (rate) set_timer(run.interval = SECOND / rate);
  else for (int fd; (fd = wake()) >= 0;) send_request(fd, run.start);
  work_until(run.start + warm_ms * 1000000LL);

  memset(run.served, 0, sizeof run.served);
  forget_latencies();
  run.errors = 0;
  int64_t cpu = cpu_of(pids), own = own_cpu(), from = now();
  run.recording = 1;
  work_until(from + measure_ms * 1000000LL);
  run.looping = run.recording = 0;
  double seconds = (now() - from) / 1e9, cpu_us = (cpu_of(pids) - cpu) / 1e3, own_us = (own_cpu() - own) / 1e3;
  long kb = resident_kb(pids);
  set_timer(0);
  close_clients();
  printf("{\"seconds\":%.4f,\"answered\":%lu,\"errors\":%lu,\"waiting\":%u,\"cpuUs\":%.1f,\"generatorUs\":%.1f,\"residentKb\":%ld,", seconds, run.answered, run.errors, run.waiting + backlog_tail - backlog_head, cpu_us, own_us, kb);
  printf("\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"served\":[", percentile_us(50), percentile_us(90), percentile_us(99), percentile_us(99.9), longest / 1000.0);
  for (int i = 0; i < upstream_count; i++) printf("%s%lu", i ? "," : "", run.served[i]);
  printf("],\"spread\":[");
  for (int i = 0; i < thread_count; i++) printf("%s%d", i ? "," : "", on_thread[i]);
  printf("]}\n");
  return NULL;
}

static const char *obey_hold(void) {
  int count, each, settle_ms, opened = 0;
  char pids[512] = "";
  start_afresh();
  if (sscanf(line, "hold %d %d %d %d %511s", &run.port, &count, &each, &settle_ms, pids) != 5) return "cannot read the command";
  if (count < 1 || count > MAX_FDS / 2 || (each && !job)) return "nothing to send, or too many connections";
  long kb = resident_kb(pids);
  for (; opened < count; opened++) {
    int fd = open_client(run.port);
    if (fd < 0) break;
    for (int i = 0; i < each; i++) {
      while (connections[fd].role == CLIENT && connections[fd].waiting) turn(10);
      if (connections[fd].role == CLIENT) send_request(fd, now());
    }
    while (run.waiting >= AT_ONCE) turn(10);
    // Without requests nothing else slows it down to what the other side can accept.
    if (!each && opened % AT_ONCE == 0) turn(1), usleep(2000);
  }
  while (run.waiting) turn(10);
  work_until(now() + settle_ms * 1000000LL);
  long after_kb = resident_kb(pids);
  close_clients();
  printf("{\"opened\":%d,\"lost\":%lu,\"errors\":%lu,\"beforeKb\":%ld,\"afterKb\":%ld}\n", opened, run.lost, run.errors, kb, after_kb);
  return NULL;
}

static const char *obey_load(void) {
  char request_file[400], answer_file[400];
  if (sscanf(line, "load %399s %399s", request_file, answer_file) != 2) return "cannot read the command";
  job = job_of(request_file, answer_file, upstream_count);
  next_request = 0;
  if (!job) return "too many jobs, or too few messages";
  printf("{\"requests\":%d}\n", job->count);
  return NULL;
}

static const char *obey(void) {
  if (!strncmp(line, "load ", 5)) return obey_load();
  if (!strncmp(line, "run ", 4)) return obey_run();
  if (!strncmp(line, "hold ", 5)) return obey_hold();
  return "no such command";
}

int main(int argc, char **argv) {
  if (argc != 2 || (upstream_count = atoi(argv[1])) < 1 || upstream_count > MAX_UPSTREAMS) {
    fprintf(stderr, "usage: generator UPSTREAMS\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct rlimit limit;
  if (!getrlimit(RLIMIT_NOFILE, &limit)) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  epoll = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  watch(0, INPUT);
  watch(timer, TIMER);
  printf("{\"upstreams\":[");
  for (int i = 0; i < upstream_count; i++) printf("%s%d", i ? "," : "", open_listener(i));
  printf("]}\n");
  for (;;) {
    turn(-1);
    if (!strchr(line, '\n')) continue;
    const char *mistake = obey();
    if (mistake) printf("{\"error\":\"%s\"}\n", mistake);
    line_filled = line[0] = 0;
  }
}
