/* The projector: Linear - batch norm - ReLU, ..., Linear. No biases but that of a classifier, the last layer
 * with the cross-entropy loss. */
#ifndef BW_MODEL_PROJECTOR_H
#define BW_MODEL_PROJECTOR_H
#include "model/layer.h"
#include "nn/matmul.h"

typedef struct bw_projector {
    const bw_block_spec *spec; /* borrowed */
    int64_t n;
    bw_matmul *forward[BW_MAX_LINEAR], *backward_data[BW_MAX_LINEAR], *backward_weights[BW_MAX_LINEAR];
    bw_bn bn[BW_MAX_LINEAR];
    int64_t max_width;
    /* Of the running step, in the arena: y = x W^T of every layer, a = relu(bn(y)) of all but the last. */
    float *y[BW_MAX_LINEAR], *a[BW_MAX_LINEAR];
} bw_projector;

BW_MUST_CHECK
bw_status bw__projector_create(bw_projector *p, bw_exec *x, const bw_block_spec *spec, int views, int64_t n);
void bw__projector_destroy(bw_projector *p);
int64_t bw__projector_flops(const bw_projector *p);

/* *z [n, last width] lies in the arena, taken with everything saved; h [n, head_dim]. */
BW_MUST_CHECK
bw_status bw__projector_forward(bw_projector *p, const bw_run *run, float **z, const float *h);
/* diff_h [n, head_dim] overwritten; diff_z [n, last width]. */
BW_MUST_CHECK
bw_status bw__projector_backward(bw_projector *p, const bw_run *run, float *diff_h, const float *diff_z,
                                 const float *h);
#endif
