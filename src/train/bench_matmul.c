#include "base/clock.h"
#include "base/memory.h"
#include "blockwise/trainer.h"
#include "nn/matmul.h"
#include <stdio.h>

bw_status bw_bench_matmul(double *gflops, bw_dtype dtype, int64_t m, int64_t n, int64_t k, int repeats,
                          int threads)
{
    bw_status st = BW_OK;
    bw_exec x = { 0 };
    bw_matmul *mm = NULL;
    const bw_matmul_shape shape = {
        .m = m, .n = n, .k = k, .type = dtype == BW_DTYPE_BF16 ? BW_BF16 : BW_F32
    };
    float *a = NULL, *b = NULL, *c = NULL; /* zeros of either type */
    double best = 0.0;
    *gflops = 0.0;
    if (m < 1 || n < 1 || k < 1 || repeats < 1 || threads < 1)
        return bw_fail(BW_EINVAL, "sizes, repeats and threads must be at least 1");
    BW_TRY(bw__exec_create(&x, threads));
    BW_TRY(bw__matmul_create(&mm, &x, &shape));
    /* A dry run gives the size of the scratch. */
    BW_TRY(bw__matmul_run(mm, &x, NULL, NULL, NULL));
    BW_TRY(bw__arena_create(&x.arena, x.arena.peak + 1));
    BW_TRY(BW_ALLOC(&a, m * k));
    BW_TRY(BW_ALLOC(&b, k * n));
    BW_TRY(BW_ALLOC(&c, m * n));
    for (int r = 0; r <= repeats; r++) {
        double start = bw__now_s();
        BW_TRY(bw__matmul_run(mm, &x, c, a, b));
        double s = bw__now_s() - start;
        if (r > 0 && (best == 0.0 || s < best)) best = s; /* the first one warms up */
    }
    *gflops = (double)bw__matmul_flops(mm) / best * 1e-9;
out:
    bw__matmul_free(mm);
    bw__exec_destroy(&x);
    bw__free(a);
    bw__free(b);
    bw__free(c);
    return st;
}

const char *bw_compute_isa(void)
{
    return bw__exec_isa();
}

const char *bw_compute_library(void)
{
    static _Thread_local char text[48];
    (void)snprintf(text, sizeof text, "oneDNN %s", bw__exec_library());
    return text;
}
