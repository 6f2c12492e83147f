#define _GNU_SOURCE /* sched_getaffinity */
#include "base/machine.h"
#include "base/cgroup.h"
#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/* The processors of OpenMP's places, false where it has none. Once the runtime has tied the main thread to
 * one of them, they alone tell what the process may use. */
static bool places(cpu_set_t *set)
{
    enum { MOST = CPU_SETSIZE };
    int ids[MOST];
    CPU_ZERO(set);
    for (int p = 0; p < omp_get_num_places(); p++) {
        int n = omp_get_place_num_procs(p);
        if (n < 1 || n > MOST) continue;
        omp_get_place_proc_ids(p, ids);
        for (int i = 0; i < n; i++)
            if (ids[i] >= 0 && ids[i] < MOST) CPU_SET((size_t)ids[i], set);
    }
    return CPU_COUNT(set) > 0;
}

/* Set once, before threads ask. */
static int share_of_cores, sharing = 1;

void bw__cores_are_shared(int share, int processes)
{
    share_of_cores = share;
    sharing = processes;
}

int bw__cores_shared_by(void)
{
    return sharing;
}

int bw__usable_cores(void)
{
    cpu_set_t set;
    int n = 1;
    if (places(&set) || sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    if (share_of_cores > 0 && share_of_cores < n) n = share_of_cores;
    double quota = bw__cgroup_read("").cores / sharing;
    if (quota > 0.0 && quota < (double)n) n = (int)(quota + 0.5);
    return n > 0 ? n : 1;
}

enum { WORD_BITS = 64, SET_BITS = (int)sizeof(bw_core_set) * 8 };

static bool has_core(const bw_core_set *set, int core)
{
    return (set->bits[core / WORD_BITS] >> (core % WORD_BITS) & 1) != 0;
}

static bw_core_set core_set(const cpu_set_t *set)
{
    bw_core_set out = { 0 };
    for (int core = 0; core < SET_BITS && core < CPU_SETSIZE; core++)
        if (CPU_ISSET((size_t)core, set)) out.bits[core / WORD_BITS] |= UINT64_C(1) << (core % WORD_BITS);
    return out;
}

bw_core_set bw__own_cores(void)
{
    cpu_set_t set;
    if (!places(&set) && sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    return core_set(&set);
}

bw_core_set bw__parent_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(getppid(), sizeof set, &set) != 0) CPU_ZERO(&set);
    return core_set(&set);
}

static int users_of(int core, const bw_core_set *sets, int n)
{
    int users = 0;
    for (int i = 0; i < n; i++)
        users += has_core(&sets[i], core);
    return users;
}

int bw__core_count(const bw_core_set *sets, int n)
{
    int count = 0;
    for (int core = 0; core < SET_BITS; core++)
        count += users_of(core, sets, n) > 0;
    return count;
}

int bw__core_share(const bw_core_set *sets, int n, int self)
{
    double share = 0.0;
    for (int core = 0; core < SET_BITS; core++)
        if (has_core(&sets[self], core)) share += 1.0 / users_of(core, sets, n);
    /* Thirds do not add up to a whole. */
    return share < 1.0 ? 1 : (int)(share + 1e-6);
}

int bw__machine_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

void bw__unbind_thread(void)
{
    cpu_set_t set;
    /* Left where it is, the thread still works. */
    if (places(&set)) (void)sched_setaffinity(0, sizeof set, &set);
}

void bw__cpu_name(char *name, size_t size)
{
    static const char key[] = "model name";
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    (void)snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (!value || strncmp(line, key, sizeof key - 1) != 0) continue;
        value += strspn(value, ": \t");
        (void)snprintf(name, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f) (void)fclose(f);
}

#if defined(__x86_64__) || defined(__i386__)
/* Extensions of AVX-512 by CPUID leaf 7 (Intel's manual, volume 2, table 3-8). */
static const char *avx512_isa(void)
{
    enum { VNNI = 1 << 11, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25, BF16 = 1 << 5 };
    const unsigned amx = AMX_BF16 | AMX_TILE | AMX_INT8;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0, eax1 = 0, unused;
    (void)__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
    if (eax >= 1) (void)__get_cpuid_count(7, 1, &eax1, &unused, &unused, &unused);
    if ((edx & amx) == amx) return "AVX-512 with AMX";
    if (eax1 & BF16) return "AVX-512 with bf16";
    return ecx & VNNI ? "AVX-512 with VNNI" : "AVX-512";
}

const char *bw__cpu_isa(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return avx512_isa();
    if (__builtin_cpu_supports("avx2")) return "AVX2";
    if (__builtin_cpu_supports("avx")) return "AVX";
    return __builtin_cpu_supports("sse4.1") ? "SSE4.1" : "generic";
}
#else
const char *bw__cpu_isa(void)
{
    return "generic";
}
#endif
