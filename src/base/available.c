#include "base/available.h"
#include "base/cgroup.h"
#include "base/machine.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Address space of a thread: its stack, and what glibc reserves to cut an aligned heap of 64 MB from. */
static const int64_t THREAD_ADDRESSES = (8 + 128) * INT64_C(1048576);
/* OpenBLAS's buffer, of the one thread that calls it. Where there is no room it asks again for ever. */
static const int64_t BLAS_ADDRESSES = 128 * INT64_C(1048576);

/* The value in bytes of a line "Name:   123 kB", or -1. */
static int64_t read_kb(const char *root, const char *file, const char *name)
{
    char path[4352], line[256];
    int64_t kb = -1;
    size_t n = strlen(name);
    (void)snprintf(path, sizeof path, "%s/proc/%s", root, file);
    FILE *f = fopen(path, "r");
    while (f && kb < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ':' && sscanf(line + n + 1, "%" SCNd64, &kb) != 1)
            kb = -1;
    if (f) (void)fclose(f);
    return kb < 0 ? -1 : kb * 1024;
}

int64_t bw__rss_bytes(void)
{
    int64_t bytes = read_kb("", "self/status", "VmRSS");
    return bytes < 0 ? 0 : bytes;
}

static void lower(bw_available *a, int64_t bytes, const char *limit)
{
    if (bytes < 0) bytes = 0;
    if (bytes < a->bytes) *a = (bw_available){ bytes, limit };
}

/* What a limit on addresses leaves; `used` of them are taken already, `rss` of these are resident. */
static void lower_by_rlimit(bw_available *a, int resource, int64_t used, int64_t rss, const char *limit)
{
    struct rlimit r;
    if (used < 0 || getrlimit(resource, &r) != 0 || r.rlim_cur == RLIM_INFINITY ||
        r.rlim_cur > (rlim_t)(INT64_MAX / 2))
        return;
    lower(a, (int64_t)r.rlim_cur - used + rss, limit);
}

bw_available bw__available_memory(const char *root, int threads)
{
    bw_available a = { INT64_MAX, "" };
    int64_t free_bytes = read_kb(root, "meminfo", "MemAvailable");
    int64_t own = read_kb(root, "self/status", "RssAnon"), rss = bw__rss_bytes();
    bw_cgroup group = bw__cgroup_read(root);
    int ranks = bw__cores_shared_by(); /* each is about to take its share of what is free */
    if (own < 0) own = 0;
    if (free_bytes >= 0)
        lower(&a, free_bytes / ranks + own,
              ranks > 1 ? "of this machine's memory for each of its ranks" : "of this machine's memory");
    if (group.memory_bytes >= 0)
        lower(&a, group.memory_bytes / ranks + own,
              ranks > 1 ? "in this control group for each of its ranks" : "in this control group");
    int64_t more = threads * THREAD_ADDRESSES + BLAS_ADDRESSES;
    lower_by_rlimit(&a, RLIMIT_AS, read_kb("", "self/status", "VmSize") + more, rss,
                    "under the limit of address space, ulimit -v");
    lower_by_rlimit(&a, RLIMIT_DATA, read_kb("", "self/status", "VmData") + more, rss,
                    "under the limit of data, ulimit -d");
    return a;
}
