/* The head of a block: pooled features h [n, head_dim] of its output.
 *
 *   cbe  conv-based expansion: convolution (1x1, or 3x3 with padding 1) to head_dim channels without bias,
 *        batch norm, ReLU, global spatial pooling; head.stride s above 1 makes it at every s-th pixel only
 *   gsp  global spatial pooling alone; head_dim is the block's own width
 *   lsp  local spatial pooling: the means of a grid of cells (nn/pool.h), head_dim values in all
 *
 * A 1x1 expansion has two forms: fused (nn/fused_head.h: never stored) where head_dim is at least four times
 * the block's width, as in early blocks, and stored otherwise; a 3x3 one is stored. With a stride the pixels
 * that a 1x1 expansion reads are gathered first and either form works on those; the gradient of the others
 * is 0. */
#ifndef BW_MODEL_HEAD_H
#define BW_MODEL_HEAD_H
#include "model/layer.h"
#include "nn/conv.h"
#include "nn/fused_head.h"
#include "nn/subsample.h"

typedef struct bw_head {
    const bw_block_spec *spec; /* borrowed */
    int64_t n, h, w;           /* n: images of all views; h, w: the block's output */
    int64_t positions;         /* of the expansion */
    bw_subsample_shape picked; /* stride 1 unless a 1x1 expansion is strided */
    bw_fused_head *fused;      /* one of the two with cbe */
    bw_conv *expand;
    bw_bn bn;
    /* Of the running step, in the arena: */
    void *compact; /* strided 1x1: [n, positions, out_c] */
    void *y;       /* stored: [n, positions, head_dim] */
} bw_head;

BW_MUST_CHECK
bw_status bw__head_create(bw_head *head, bw_exec *x, const bw_block_spec *spec, int views, int64_t n,
                          int64_t h, int64_t w, bool training);
void bw__head_destroy(bw_head *head);
/* What was chosen, in words. */
const char *bw__head_form(const bw_head *head);
/* Floating point operations of the expansion; those of the fused form's statistics are not counted. */
int64_t bw__head_flops(const bw_head *head, bool backward);

/* h [n, head_dim]; in [n, h, w, out_c]. In training, what the backward pass needs stays taken. */
BW_MUST_CHECK
bw_status bw__head_forward(bw_head *head, const bw_run *run, float *h, const void *in);
/* diff_in [n, h, w, out_c] overwritten; what the forward pass kept is lost. */
BW_MUST_CHECK
bw_status bw__head_backward(bw_head *head, const bw_run *run, void *diff_in, const float *diff_h,
                            const void *in);
#endif
