// Tries to reach what a guest must not, and says how that went.
//
// What is tried is the name of the key. The answer is a terminal error: `refused`,
// `empty`, or what was got hold of.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "windlass.h"

static char answer[1024];

extern char **environ;

static void refused(void) { snprintf(answer, sizeof answer, "refused: %s", strerror(errno)); }

static void read_file(void) {
  int file = open("/etc/passwd", O_RDONLY);
  if (file < 0) {
    refused();
    return;
  }
  snprintf(answer, sizeof answer, "got: descriptor %d", file);
}

static void write_file(void) {
  int file = open("/written", O_WRONLY | O_CREAT, 0600);
  if (file < 0) {
    refused();
    return;
  }
  snprintf(answer, sizeof answer, "got: descriptor %d", file);
}

static void list_directory(void) {
  if (opendir("/") == NULL) {
    refused();
    return;
  }
  snprintf(answer, sizeof answer, "got: a directory");
}

static void environment(void) {
  if (environ != NULL && environ[0] != NULL) snprintf(answer, sizeof answer, "got: %s", environ[0]);
}

static void input(void) {
  char byte;
  ssize_t got = read(0, &byte, 1);
  if (got > 0) snprintf(answer, sizeof answer, "got: %c", byte);
  if (got < 0) refused();
}

static void clock_now(void) {
  struct timespec wall, monotonic;
  if (clock_gettime(CLOCK_REALTIME, &wall) != 0 || clock_gettime(CLOCK_MONOTONIC, &monotonic) != 0) {
    refused();
    return;
  }
  snprintf(answer, sizeof answer, "got: %lld.%09ld %lld", (long long)wall.tv_sec, wall.tv_nsec,
           (long long)monotonic.tv_sec * 1000000000 + monotonic.tv_nsec);
}

static void chance(void) {
  unsigned char bytes[8];
  if (getentropy(bytes, sizeof bytes) != 0) {
    refused();
    return;
  }
  snprintf(answer, sizeof answer, "got: %02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
}

static void print(void) {
  printf("to the output\nof two lines\n");
  fflush(stdout);
  fprintf(stderr, "to the error stream\n");
}

static void sleep_long(void) {
  struct timespec long_time = {.tv_sec = 10};
  if (nanosleep(&long_time, NULL) != 0) refused();
}

static void leave(void) { exit(3); }

static void grow(void) {
  volatile char *memory = malloc(1 << 30);
  if (memory == NULL) {
    refused();
    return;
  }
  memory[(1 << 30) - 1] = 1;
  snprintf(answer, sizeof answer, "got: %p", (void *)memory);
}

static void loop(void) {
  for (volatile unsigned rounds = 0;; rounds++) {
  }
}

static const struct {
  const char *name;
  void (*attempt)(void);
} attempts[] = {
    {"read-file", read_file}, {"write-file", write_file}, {"list-directory", list_directory},
    {"environment", environment}, {"input", input}, {"clock", clock_now}, {"chance", chance},
    {"print", print}, {"sleep", sleep_long}, {"exit", leave}, {"grow", grow}, {"loop", loop},
};

void exports_windlass_controller_handler_describe(exports_windlass_controller_handler_manifest_t *ret) {
  *ret = (exports_windlass_controller_handler_manifest_t){.workers = 1};
  windlass_string_dup(&ret->name, "probe-c");
  windlass_string_dup(&ret->version, "0.1.0");
}

bool exports_windlass_controller_handler_start(windlass_string_t *err) {
  (void)err;
  return true;
}

bool exports_windlass_controller_handler_sync_handler(
    uint64_t sync, exports_windlass_controller_handler_object_key_t *key,
    exports_windlass_controller_handler_outcome_t *ret, exports_windlass_controller_handler_sync_error_t *err) {
  (void)sync;
  (void)ret;
  strcpy(answer, "empty");
  for (size_t at = 0; at < sizeof attempts / sizeof attempts[0]; at++) {
    const char *name = attempts[at].name;
    if (strlen(name) == key->name.len && memcmp(name, key->name.ptr, key->name.len) == 0) attempts[at].attempt();
  }
  exports_windlass_controller_handler_object_key_free(key);
  err->tag = WINDLASS_CONTROLLER_TYPES_SYNC_ERROR_TERMINAL;
  windlass_string_dup(&err->val.terminal, answer);
  return false;
}
