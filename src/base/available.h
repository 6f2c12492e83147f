/* How much memory this process has and may have. */
#ifndef BW_BASE_AVAILABLE_H
#define BW_BASE_AVAILABLE_H
#include <stdint.h>

/* Resident memory of this process now. */
int64_t bw__rss_bytes(void);

typedef struct bw_available {
    int64_t bytes;     /* resident memory this process may have in all, what it has now included */
    const char *limit; /* what sets it, for messages: "of this machine's memory" */
} bw_available;

/* The tightest of what the machine has free, control groups (of both the share of one of
 * bw__cores_shared_by() processes), and the process's own limits of address space
 * (ulimit -v) and data. threads: those still to be started, each of which takes address space, as OpenBLAS
 * does. root: before /proc and /sys, "" or a folder of a test. INT64_MAX bytes where nothing can be read. */
bw_available bw__available_memory(const char *root, int threads);
#endif
