// What is sent. Files hold records, each after its length as a little-endian 32-bit number.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "connections.h"

#define MAX_MESSAGES 4096
#define MAX_UPSTREAMS 16
#define MAX_JOBS 64

struct job {
  char requests[400], answers[400];   // the files
  int count;                          // of heads
  struct message body, heads[MAX_MESSAGES], answer[MAX_UPSTREAMS];
};

// The number of records read.
static int read_messages(const char *path, struct message *into, int most) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  int count = 0;
  for (uint32_t length; count < most && fread(&length, 4, 1, file) == 1; count++) {
    into[count].length = length;
    into[count].bytes = malloc(length + 1);
    if (fread(into[count].bytes, 1, length, file) != length) die(path);
  }
  fclose(file);
  return count;
}

// The job of these files, NULL if there is none. It is read once and kept: answers of it may be on their way for long.
static struct job *job_of(const char *request_file, const char *answer_file, int upstreams) {
  static struct job *jobs[MAX_JOBS];
  static struct message records[MAX_MESSAGES + 1];
  static int job_count;
  for (int i = 0; i < job_count; i++)
    if (!strcmp(jobs[i]->requests, request_file) && !strcmp(jobs[i]->answers, answer_file)) return jobs[i];
  int count = read_messages(request_file, records, MAX_MESSAGES + 1);
  if (job_count == MAX_JOBS || count < 2) return NULL;
  struct job *fresh = calloc(1, sizeof *fresh);
  snprintf(fresh->requests, sizeof fresh->requests, "%s", request_file);
  snprintf(fresh->answers, sizeof fresh->answers, "%s", answer_file);
  if (read_messages(answer_file, fresh->answer, MAX_UPSTREAMS) < upstreams) return NULL;
  fresh->body = records[0];
  fresh->count = count - 1;
  memcpy(fresh->heads, records + 1, fresh->count * sizeof *records);
  return jobs[job_count++] = fresh;
}
