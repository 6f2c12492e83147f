/* Pooling of f32 NHWC tensors. */
#ifndef BW_NN_POOL_H
#define BW_NN_POOL_H
#include "nn/exec.h"

/* The stem's max pool: 3x3, stride 2, padding 1. where [n, oh, ow, c] keeps which of the nine won (the first
 * of equals, as in PyTorch); NULL when no backward follows. */
void bw__max_pool_forward(bw_exec *x, float *dst, uint8_t *where, const float *src, int64_t n, int64_t h,
                          int64_t w, int64_t c);
void bw__max_pool_backward(bw_exec *x, float *diff_src, const float *diff_dst, const uint8_t *where,
                           int64_t n, int64_t h, int64_t w, int64_t c);
static inline int64_t bw__max_pool_out(int64_t size)
{
    return (size + 2 - 3) / 2 + 1;
}

/* Global spatial pooling: dst [n, c] = mean over positions of src [n, positions, c]. */
void bw__gsp_forward(bw_exec *x, float *dst, const float *src, int64_t n, int64_t positions, int64_t c);
void bw__gsp_backward(bw_exec *x, float *diff_src, const float *diff_dst, int64_t n, int64_t positions,
                      int64_t c);
#endif
