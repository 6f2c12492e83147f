#include "base/cgroup.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_CHARS = 4352 };

static FILE *open_in(const char *folder, const char *name)
{
    char path[PATH_CHARS + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "r");
}

/* The first number of a file; false where there is none ("max"). */
static bool read_number(int64_t *out, const char *folder, const char *name)
{
    FILE *f = open_in(folder, name);
    bool found = f && fscanf(f, "%" SCNd64, out) == 1;
    if (f) (void)fclose(f);
    return found;
}

/* Page cache of a group: files that the system drops before it refuses memory. */
static int64_t cache_bytes(const char *folder, const char *active, const char *inactive)
{
    char name[64];
    int64_t value = 0, sum = 0;
    FILE *f = open_in(folder, "memory.stat");
    while (f && fscanf(f, "%63s %" SCNd64, name, &value) == 2)
        if (strcmp(name, active) == 0 || strcmp(name, inactive) == 0) sum += value;
    if (f) (void)fclose(f);
    return sum;
}

static void limit_memory(bw_cgroup *g, int64_t limit, int64_t used, int64_t cache)
{
    int64_t left = limit - (used > cache ? used - cache : 0);
    if (left < 0) left = 0;
    if (g->memory_bytes < 0 || left < g->memory_bytes) g->memory_bytes = left;
}

static void limit_cores(bw_cgroup *g, int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0) return;
    double cores = (double)quota / (double)period;
    if (g->cores <= 0.0 || cores < g->cores) g->cores = cores;
}

static void read_v2(bw_cgroup *g, const char *folder)
{
    int64_t limit, used, quota, period;
    if (read_number(&limit, folder, "memory.max") && read_number(&used, folder, "memory.current"))
        limit_memory(g, limit, used, cache_bytes(folder, "active_file", "inactive_file"));
    FILE *f = open_in(folder, "cpu.max");
    if (f && fscanf(f, "%" SCNd64 " %" SCNd64, &quota, &period) == 2) limit_cores(g, quota, period);
    if (f) (void)fclose(f);
}

static void read_v1_memory(bw_cgroup *g, const char *folder)
{
    int64_t limit, used;
    if (read_number(&limit, folder, "memory.limit_in_bytes") &&
        read_number(&used, folder, "memory.usage_in_bytes"))
        limit_memory(g, limit, used, cache_bytes(folder, "total_active_file", "total_inactive_file"));
}

static void read_v1_cpu(bw_cgroup *g, const char *folder)
{
    int64_t quota, period;
    if (read_number(&quota, folder, "cpu.cfs_quota_us") && read_number(&period, folder, "cpu.cfs_period_us"))
        limit_cores(g, quota, period);
}

/* Reads the group at `path` below `mount` and every group above it. In a container the path may be one of
 * the host, of which only the mount's own top is to be seen. */
static void read_upwards(bw_cgroup *g, const char *mount, const char *path,
                         void (*read_group)(bw_cgroup *, const char *))
{
    char folder[PATH_CHARS];
    int n = snprintf(folder, sizeof folder, "%s%s", mount, path);
    if (n < 0 || n >= (int)sizeof folder) return;
    for (size_t top = strlen(mount);;) {
        read_group(g, folder);
        char *slash = strrchr(folder, '/');
        if (!slash || strlen(folder) <= top) return;
        *slash = '\0';
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0')) return true;
    return false;
}

bw_cgroup bw__cgroup_read(const char *root)
{
    bw_cgroup g = { .memory_bytes = -1 };
    char line[PATH_CHARS], mount[PATH_CHARS];
    FILE *f = open_in(root, "proc/self/cgroup");
    /* Lines are "number:controllers:path"; version 2 has number 0 and no controllers. */
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path || path[1] != '/') continue;
        controllers++;
        *path++ = '\0';
        if (strcmp(path, "/") == 0) path[0] = '\0';
        if (controllers[0] == '\0') {
            (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            read_upwards(&g, mount, path, read_v2);
        } else if (has_word(controllers, "memory")) {
            (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/memory", root);
            read_upwards(&g, mount, path, read_v1_memory);
        } else if (has_word(controllers, "cpu")) {
            (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
            read_upwards(&g, mount, path, read_v1_cpu);
        }
    }
    if (f) (void)fclose(f);
    return g;
}
