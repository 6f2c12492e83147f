#include "nn/loops.h"

const bw_loops *bw__loops_for(bw_isa isa)
{
    static const bw_loops *const loops[BW_ISA_COUNT] = { &bw__loops_plain, &bw__loops_avx2,
                                                         &bw__loops_avx512 };
    return isa <= bw__isa_of_cpu() ? loops[isa] : NULL;
}

const bw_loops *bw__loops(void)
{
    return bw__loops_for(bw__isa());
}
