/* Limits that Linux control groups set on this process, versions 1 and 2. */
#ifndef BW_BASE_CGROUP_H
#define BW_BASE_CGROUP_H
#include <stdint.h>

typedef struct bw_cgroup {
    double cores;         /* processor time each second; 0: no limit */
    int64_t memory_bytes; /* that may still be taken, page cache counted as free; -1: no limit */
} bw_cgroup;

/* The tightest limits of this process's groups and of the groups above them. `root` stands before /proc and
 * /sys: "", or a folder of a test. What cannot be read sets no limit. */
bw_cgroup bw__cgroup_read(const char *root);
#endif
