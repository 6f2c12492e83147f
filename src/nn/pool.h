/* Pooling of NHWC tensors. */
#ifndef BW_NN_POOL_H
#define BW_NN_POOL_H
#include "nn/exec.h"
#include "nn/type.h"

/* The stem's max pool: 3x3, stride 2, padding 1. where [n, oh, ow, c] keeps which of the nine won (the first
 * of equals, as in PyTorch); NULL when no backward follows. */
void bw__max_pool_forward(bw_exec *x, bw_type type, void *dst, uint8_t *where, const void *src, int64_t n,
                          int64_t h, int64_t w, int64_t c);
void bw__max_pool_backward(bw_exec *x, bw_type type, void *diff_src, const void *diff_dst,
                           const uint8_t *where, int64_t n, int64_t h, int64_t w, int64_t c);
static inline int64_t bw__max_pool_out(int64_t size)
{
    return (size + 2 - 3) / 2 + 1;
}

/* Global spatial pooling: dst [n, c] = mean over positions of src [n, positions, c]. The mean is f32 whatever
 * the type of src and diff_src. */
void bw__gsp_forward(bw_exec *x, bw_type type, float *dst, const void *src, int64_t n, int64_t positions,
                     int64_t c);
void bw__gsp_backward(bw_exec *x, bw_type type, void *diff_src, const float *diff_dst, int64_t n,
                      int64_t positions, int64_t c);
#endif
