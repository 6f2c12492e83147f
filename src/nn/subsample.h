/* Every stride-th pixel of NHWC tensors, and back: a strided 1x1 convolution is one over these pixels. */
#ifndef BW_NN_SUBSAMPLE_H
#define BW_NN_SUBSAMPLE_H
#include "nn/exec.h"
#include "nn/type.h"

typedef struct bw_subsample_shape {
    int64_t n, h, w, c;
    int stride;
    bw_type type;
} bw_subsample_shape;

/* Pixels 0, stride, 2 stride, ... of a side. */
static inline int64_t bw__subsample_out(int64_t size, int stride)
{
    return (size - 1) / stride + 1;
}

/* dst [n, oh, ow, c] = src [n, h, w, c] at (stride y, stride x). */
void bw__subsample_forward(bw_exec *x, const bw_subsample_shape *shape, void *dst, const void *src);
/* diff_src [n, h, w, c] = diff_dst [n, oh, ow, c] at those pixels, 0 at the others. */
void bw__subsample_backward(bw_exec *x, const bw_subsample_shape *shape, void *diff_src,
                            const void *diff_dst);
#endif
