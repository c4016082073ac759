#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const uint8_t kMessage[8] = {'2', '0', '2', '6', '1', '1', '2', '3'};

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void MeasureLoop(MacFunction compute, void* key, double seconds) {
  uint8_t mac[kMacBytes];
  for (int warm_up = 0; warm_up < 20; warm_up++) compute(key, mac);

  const double begin = Now();
  double now = begin;
  long macs = 0;
  for (; now - begin < seconds; now = Now(), macs++) compute(key, mac);

  printf("%.1f ", (double)macs / (now - begin));
  for (int i = 0; i < kMacBytes; i++) printf("%02x", mac[i]);
  printf("\n");
}

size_t ReadPassword(char* password, size_t size) {
  if (fgets(password, (int)size, stdin) == NULL) password[0] = '\0';
  const size_t length = strcspn(password, "\n");
  password[length] = '\0';
  return length;
}

void Check(const char* call, unsigned long code) {
  if (code == 0) return;
  fprintf(stderr, "%s: 0x%lx\n", call, code);
  exit(1);
}
