// Latencies: a log-linear histogram of nanoseconds with 64 steps to a power of two, an error below 1.6 %.
#pragma once
#include <stdint.h>
#include <string.h>

static uint64_t steps[64 * 64];
static uint64_t recorded;
static int64_t longest;

static void record(int64_t ns) {
  if (ns < 0) ns = 0;
  int exponent = ns < 64 ? 0 : 63 - __builtin_clzll(ns);
  steps[ns < 64 ? ns : (exponent - 5) * 64 + ((ns >> (exponent - 6)) & 63)]++;
  recorded++;
  if (ns > longest) longest = ns;
}

static void forget_latencies(void) {
  memset(steps, 0, sizeof steps);
  recorded = longest = 0;
}

static double percentile_us(double percent) {
  uint64_t rank = (uint64_t)(recorded * percent / 100), passed = 0;
  for (int i = 0; i < 64 * 64; i++) {
    passed += steps[i];
    if (passed > rank) return (i < 64 ? i : (double)((64LL + i % 64) << (i / 64 - 1))) / 1000;
  }
  return longest / 1000.0;
}
