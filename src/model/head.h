/* The head of a block: pooled features h [n, head_dim] of its output.
 *
 *   cbe  conv-based expansion: 1x1 convolution to head_dim without bias, batch norm, ReLU, global spatial
 * pooling gsp  global spatial pooling alone; head_dim is the block's own width
 *
 * The expansion has two forms: fused (nn/fused_head.h: never stored) where head_dim is at least four times
 * the block's width, as in early blocks, and stored otherwise. */
#ifndef BW_MODEL_HEAD_H
#define BW_MODEL_HEAD_H
#include "model/layer.h"
#include "nn/conv.h"
#include "nn/fused_head.h"

typedef struct bw_head {
    const bw_block_spec *spec; /* borrowed */
    int64_t n, positions;
    bw_fused_head *fused; /* one of the two with cbe */
    bw_conv *expand;
    bw_bn bn;
    void *y; /* stored: [n, positions, head_dim] of the running step, in the arena */
} bw_head;

BW_MUST_CHECK
bw_status bw__head_create(bw_head *head, bw_exec *x, const bw_block_spec *spec, int views, int64_t n,
                          int64_t h, int64_t w, bool training);
void bw__head_destroy(bw_head *head);
/* What was chosen, in words. */
const char *bw__head_form(const bw_head *head);
/* Floating point operations of the expansion; those of the fused form's statistics are not counted. */
int64_t bw__head_flops(const bw_head *head, bool backward);

/* h [n, head_dim]; in [n, positions, out_c]. In training, what the backward pass needs stays taken. */
BW_MUST_CHECK
bw_status bw__head_forward(bw_head *head, const bw_run *run, float *h, const void *in);
/* diff_in [n, positions, out_c] overwritten; what the forward pass kept is lost. */
BW_MUST_CHECK
bw_status bw__head_backward(bw_head *head, const bw_run *run, void *diff_in, const float *diff_h,
                            const void *in);
#endif
