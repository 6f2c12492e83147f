/* Matrix product through oneDNN: dst [m, n] = op(a) op(b), f32, row-major, overwriting dst. */
#ifndef BW_NN_MATMUL_H
#define BW_NN_MATMUL_H
#include "nn/exec.h"

typedef struct bw_matmul bw_matmul;

/* op(a) is [m, k]: stored [m, k], or [k, m] with transpose_a. op(b) is [k, n]: stored [k, n], or [n, k] with
 * transpose_b. BW_EKERNEL as bw__conv_create(). */
BW_MUST_CHECK
bw_status bw__matmul_create(bw_matmul **out, bw_exec *x, int64_t m, int64_t n, int64_t k, bool transpose_a,
                            bool transpose_b);
void bw__matmul_free(bw_matmul *matmul);
int64_t bw__matmul_flops(const bw_matmul *matmul);
BW_MUST_CHECK
bw_status bw__matmul_run(bw_matmul *matmul, bw_exec *x, float *dst, const float *a, const float *b);
#endif
