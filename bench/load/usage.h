// What processes use, as the system accounts for it.
#pragma once
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int64_t cpu_of_task(const char *pid, const char *task) {
  char path[300];
  long long ns = 0;
  snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/schedstat", pid, task);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (fscanf(file, "%lld", &ns) != 1) ns = 0;
  fclose(file);
  return ns;
}

// User and system time of every thread, in nanoseconds.
static int64_t cpu_of(const char *pids) {
  int64_t total = 0;
  char copy[512], *state;
  snprintf(copy, sizeof copy, "%s", pids);
  for (char *pid = strtok_r(copy, ",", &state); pid; pid = strtok_r(NULL, ",", &state)) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    DIR *directory = opendir(path);
    if (!directory) continue;
    for (struct dirent *entry; (entry = readdir(directory));)
      if (entry->d_name[0] != '.') total += cpu_of_task(pid, entry->d_name);
    closedir(directory);
  }
  return total;
}

#define MAX_THREADS 64

struct thread_use {
  int id;
  int64_t ns;
};

// What each thread of the processes has used; the number of them.
static int threads_of(const char *pids, struct thread_use *into) {
  int count = 0;
  char copy[512], *state;
  snprintf(copy, sizeof copy, "%s", pids);
  for (char *pid = strtok_r(copy, ",", &state); pid; pid = strtok_r(NULL, ",", &state)) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    DIR *directory = opendir(path);
    if (!directory) continue;
    for (struct dirent *entry; (entry = readdir(directory)) && count < MAX_THREADS;)
      if (entry->d_name[0] != '.') into[count++] = (struct thread_use){atoi(entry->d_name), cpu_of_task(pid, entry->d_name)};
    closedir(directory);
  }
  return count;
}

static long resident_kb(const char *pids) {
  long total = 0, kb;
  char copy[512], *state, line[256];
  snprintf(copy, sizeof copy, "%s", pids);
  for (char *pid = strtok_r(copy, ",", &state); pid; pid = strtok_r(NULL, ",", &state)) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    while (fgets(line, sizeof line, file))
      if (sscanf(line, "VmRSS: %ld", &kb) == 1) total += kb;
    fclose(file);
  }
  return total;
}

static int64_t own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}
