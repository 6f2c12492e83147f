#include "data/pixel_kernels.h"

const bw_kernels *bw__kernels_for_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") ? &bw__kernels_avx2 : NULL;
#else
    return NULL;
#endif
}

const bw_kernels *bw__kernels(void)
{
    const bw_kernels *best = bw__kernels_for_avx2();
    return best ? best : &bw__kernels_base;
}
