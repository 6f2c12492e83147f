/* Convolution of NHWC tensors, no bias: oneDNN's, or matrix products over tiles (gemm_conv.h) where those are
 * faster, chosen for each pass when the convolution is created.
 *
 *     dst[n, oh, ow, oc] = sum over ic, kh, kw of src[n, oh*stride - pad + kh, ow*stride - pad + kw, ic]
 *                                                * weights[oc, ic, kh, kw]
 *
 * src, dst and their gradients are of the shape's type. Weights and their gradient are f32 OIHW as everywhere
 * outside this folder; oneDNN's own layout and type of them live in scratch for the time of one call. */
#ifndef BW_NN_CONV_H
#define BW_NN_CONV_H
#include "nn/exec.h"
#include "nn/type.h"

typedef struct bw_conv_shape {
    int64_t n, h, w, ic, oc;
    int kernel, stride, pad;
    bw_type type; /* of src, dst, diff_src and diff_dst */
} bw_conv_shape;

static inline int64_t bw__conv_out(int64_t size, int kernel, int stride, int pad)
{
    return (size + 2 * pad - kernel) / stride + 1;
}

typedef enum bw_passes {
    BW_PASS_FORWARD = 1,
    BW_PASS_BACKWARD_DATA = 2,
    BW_PASS_BACKWARD_WEIGHTS = 4
} bw_passes;

typedef struct bw_conv bw_conv;

/* BW_EKERNEL if oneDNN has no vectorised implementation for the shape (a reference one is refused: it would
 * be a hundred times slower) or none for the type on this processor, naming shape and implementation. Where
 * the processor has bf16 but not for this shape, or BLOCKWISE_BF16 says so, bf16 is converted to f32 and back
 * in scratch. BW_ENOMEM: src, dst or weights are larger than oneDNN can count. `passes` is an or of
 * bw_passes.
 */
BW_MUST_CHECK
bw_status bw__conv_create(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes);
/* The same, of sizes that are not looked at, with the choice made by the caller (tests, bench/bench_conv.c):
 * the passes that are to be matrix products, of an f32 shape; backward data with stride 1 only. */
BW_MUST_CHECK
bw_status bw__conv_create_as(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes,
                             unsigned as_products);
/* What bw__conv_create() chooses on this processor. */
unsigned bw__conv_passes_as_products(const bw_conv_shape *shape);
void bw__conv_free(bw_conv *conv);
const bw_conv_shape *bw__conv_get_shape(const bw_conv *conv);
/* Floating point operations of one pass (a multiply-add counts as two). */
int64_t bw__conv_flops(const bw_conv *conv);

/* All of them overwrite their output. */
BW_MUST_CHECK
bw_status bw__conv_forward(bw_conv *conv, bw_exec *x, void *dst, const void *src, const float *weights);
BW_MUST_CHECK
bw_status bw__conv_backward_data(bw_conv *conv, bw_exec *x, void *diff_src, const void *diff_dst,
                                 const float *weights);
BW_MUST_CHECK
bw_status bw__conv_backward_weights(bw_conv *conv, bw_exec *x, float *diff_weights, const void *src,
                                    const void *diff_dst);
#endif
