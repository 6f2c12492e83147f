#include "data/pixel_kernels.h"
#include "base/isa.h"

const bw_kernels *bw__kernels_for_avx2(void)
{
    return bw__isa_of_cpu() >= BW_ISA_AVX2 ? &bw__kernels_avx2 : NULL;
}

const bw_kernels *bw__kernels(void)
{
    return bw__isa() >= BW_ISA_AVX2 ? &bw__kernels_avx2 : &bw__kernels_base;
}
