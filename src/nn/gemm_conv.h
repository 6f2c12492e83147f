/* Convolution of f32 NHWC tensors as matrix products over tiles of output positions.
 *
 * With col [positions, K] the patches of the input, K = kernel * kernel * ic in the order (kh, kw, ic):
 *
 *     forward            dst  = col(src) W              W [K, oc]
 *     backward weights   dW   = col(src)^T diff_dst
 *     backward data      diff_src = col(diff_dst) W'    stride 1 only; W' is W with the taps turned round
 *
 * A tile's patches are made in scratch and used while they are in cache; col as a whole never exists. Every
 * thread works on tiles of its own with a sequential product (bw__sgemm). Rows of scratch are padded, because
 * a row length that is a large power of two maps a column of the matrix to few sets of the cache.
 *
 * conv.c says when this form is used. Tiles are cut by the number of threads, so that the last digits may
 * depend on it; for one number they are always the same, whichever thread takes which tile. */
#ifndef BW_NN_GEMM_CONV_H
#define BW_NN_GEMM_CONV_H
#include "nn/conv.h"

/* Same meaning as bw__conv_*; they cannot fail but for oneDNN's product. */
BW_MUST_CHECK
bw_status bw__gemm_conv_forward(const bw_conv_shape *s, bw_exec *x, float *dst, const float *src,
                                const float *weights);
/* stride must be 1. */
BW_MUST_CHECK
bw_status bw__gemm_conv_backward_data(const bw_conv_shape *s, bw_exec *x, float *diff_src,
                                      const float *diff_dst, const float *weights);
BW_MUST_CHECK
bw_status bw__gemm_conv_backward_weights(const bw_conv_shape *s, bw_exec *x, float *diff_weights,
                                         const float *src, const float *diff_dst);
#endif
