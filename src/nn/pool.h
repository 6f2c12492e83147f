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

/* Local spatial pooling: the means of a grid of cells of src [n, h, w, c], with the edges that PyTorch's
 * AdaptiveAvgPool2d has: cell i of `cells` along a side of `size` pixels is
 *
 *     floor(i size / cells) .. ceil((i + 1) size / cells) - 1
 *
 * so that neighbours share a pixel where the side is not a multiple. dst [n, c * rows * columns]: value
 * c' * rows * columns + row * columns + column, PyTorch's flatten of [n, c, rows, columns]. (Our reading of
 * the paper's local pooling, which gives neither the grid nor the order.) One cell is gsp, to the bit. */
typedef struct bw_lsp_shape {
    int64_t n, h, w, c, rows, columns;
    bw_type type; /* of src and diff_src */
} bw_lsp_shape;

void bw__lsp_forward(bw_exec *x, const bw_lsp_shape *shape, float *dst, const void *src);
void bw__lsp_backward(bw_exec *x, const bw_lsp_shape *shape, void *diff_src, const float *diff_dst);
#endif
