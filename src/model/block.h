/* One block: trunk, noise, head and projector, at a fixed batch shape.
 *
 * Training runs both views as one batch [2, n, ...] with statistics per view: the same numbers as two passes,
 * and the gradients of both views are summed by the kernels themselves. */
#ifndef BW_MODEL_BLOCK_H
#define BW_MODEL_BLOCK_H
#include "model/head.h"
#include "model/projector.h"
#include "model/trunk.h"
#include "nn/noise.h"

typedef struct bw_block {
    const bw_block_spec *spec; /* borrowed */
    int views;
    int64_t n; /* images of all views */
    bw_trunk trunk;
    bw_head head;
    bw_projector projector;
    bw_noise noise; /* kind, sigma and shape; eps is set by whoever trains */
    int64_t out_count;
    float *h; /* pooled features of the running step, in the arena */
    size_t head_mark;
} bw_block;

/* n: images of one view. with_head: also head (both modes) and projector (training). */
BW_MUST_CHECK
bw_status bw__block_create(bw_block *block, bw_exec *x, const bw_block_spec *spec,
                           const bw_block_config *config, int views, int64_t n, int64_t h, int64_t w,
                           bool training, bool with_head);
void bw__block_destroy(bw_block *block);
/* Floating point operations of one step: convolutions and matrix products, forward and backward. */
int64_t bw__block_flops(const bw_block *block);

/* out: what head and next block see, noised in training; where there is noise, what it was before is saved.
 * z [views, n, last width] lies in the arena. Everything saved stays taken on the run's side. */
BW_MUST_CHECK
bw_status bw__block_forward(bw_block *block, const bw_run *run, void *out, float **z, const void *in);
/* Gradients of all parameters of the block from diff_z. Releases what the forward pass saved, from the top.
 */
BW_MUST_CHECK
bw_status bw__block_backward(bw_block *block, const bw_run *run, const float *diff_z, const void *in,
                             const void *out);
#endif
