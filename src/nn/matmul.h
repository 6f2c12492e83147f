/* Matrix product through oneDNN: dst [m, n] = op(a) op(b), row-major. */
#ifndef BW_NN_MATMUL_H
#define BW_NN_MATMUL_H
#include "nn/exec.h"
#include "nn/type.h"

/* op(a) is [m, k]: stored [m, k], or [k, m] with transpose_a. op(b) is [k, n]: stored [k, n], or [n, k] with
 * transpose_b. */
typedef struct bw_matmul_shape {
    int64_t m, n, k;
    int64_t lda, ldb, ldc; /* from row to row of the matrices as they are stored, in elements; 0: dense */
    bool transpose_a, transpose_b;
    bool accumulate; /* dst += op(a) op(b); otherwise dst is overwritten */
    bw_type type;    /* of a and b; dst is f32 */
} bw_matmul_shape;

typedef struct bw_matmul bw_matmul;

/* Elements between the rows of dst are neither read nor written. BW_EKERNEL and BW_ENOMEM as
 * bw__conv_create(). */
BW_MUST_CHECK
bw_status bw__matmul_create(bw_matmul **out, bw_exec *x, const bw_matmul_shape *shape);
void bw__matmul_free(bw_matmul *matmul);
int64_t bw__matmul_flops(const bw_matmul *matmul);
BW_MUST_CHECK
bw_status bw__matmul_run(bw_matmul *matmul, bw_exec *x, float *dst, const void *a, const void *b);

/* The same in f32 without a plan: c [m, n] = op(a) op(b), or += with `accumulate`. No dimension is 0 and
 * every leading dimension is at least the stored row.
 *
 * May be called by several threads at once. Inside an OpenMP parallel region it runs on the calling thread
 * alone, otherwise on all: so a kernel that walks over tiles (gemm_conv.c) gives each thread tiles that stay
 * in its cache, where a primitive would start a team for each tile. oneDNN takes memory for its packed
 * panels in every call, which the arena does not see.
 *
 * A leading dimension that is a multiple of a large power of two puts all rows of a tile into the same few
 * cache sets and costs up to half the speed with AVX2: pad such rows by 16 elements. */
BW_MUST_CHECK
bw_status bw__sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb, bool accumulate, float *c, int64_t ldc);
#endif
