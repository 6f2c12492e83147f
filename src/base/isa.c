#include "base/isa.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[BW_ISA_COUNT] = { "plain", "avx2", "avx512" };

bw_isa bw__isa_of_cpu(void)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) return BW_ISA_PLAIN;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return BW_ISA_AVX512;
    return BW_ISA_AVX2;
#else
    return BW_ISA_PLAIN;
#endif
}

const char *bw__isa_name(bw_isa isa)
{
    return names[isa];
}

/* What the variable names; -1: nothing, BW_ISA_COUNT: nothing that is known. */
static int named_by_variable(void)
{
    const char *value = getenv(BW_ISA_VARIABLE);
    if (!value || !*value) return -1;
    for (int i = 0; i < BW_ISA_COUNT; i++)
        if (strcmp(value, names[i]) == 0) return i;
    return BW_ISA_COUNT;
}

/* Loader threads ask often and at once, so the answer is kept: 0 is "not asked yet". Threads that ask first
 * at the same time store the same number. */
static atomic_int kept;

bw_isa bw__isa(void)
{
    int isa = atomic_load_explicit(&kept, memory_order_relaxed) - 1;
    if (isa < 0) {
        int best = (int)bw__isa_of_cpu(), named = named_by_variable();
        isa = named >= 0 && named < best ? named : best;
        atomic_store_explicit(&kept, isa + 1, memory_order_relaxed);
    }
    return (bw_isa)isa;
}

bw_isa_limit bw__isa_limit(void)
{
    if (named_by_variable() == BW_ISA_COUNT) return BW_ISA_LIMIT_UNKNOWN;
    return bw__isa() < bw__isa_of_cpu() ? BW_ISA_LOWERED : BW_ISA_UNLIMITED;
}
