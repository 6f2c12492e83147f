/* The online probe: a linear classifier beside every block, which learns with it from the head's pooled
 * output h. Nothing flows back: the network has the same bits with and without it.
 *
 *     logits = W h + b,  W [classes, dim] and b begin at 0;  mean cross-entropy over both views of the images
 *     that have a label;  m = 0.9 m + g,  w -= lr m,  lr = 0.1 (1 + cos(pi s)) / 2
 *
 * with s the share of the block's own steps that are done: SGD without weight decay and without warm-up,
 * which weights of 0 do not need, whatever the network's schedule is. A frozen block's classifier stays as it
 * is. Over ranks the means and sums are of the images of all, and every rank has the same classifier. */
#ifndef BW_TRAIN_ONLINE_PROBE_H
#define BW_TRAIN_ONLINE_PROBE_H
#include "blockwise/dataset.h"
#include "loss/loss.h"
#include "model/network_internal.h"
#include "nn/matmul.h"

typedef struct bw_online_classifier {
    int64_t dim;
    int64_t count;           /* classes * (dim + 1): weights, then biases; 0: the block has no classifier */
    float *values, *momenta; /* all of its state */
    bw_matmul *forward, *gradient;
    bw_loss *loss;
} bw_online_classifier;

typedef struct bw_online_probe {
    int classes, blocks, threads;
    int64_t images; /* of one view of a batch, or of a part of it */
    bw_online_classifier block[BW_MAX_BLOCKS];
} bw_online_probe;

/* `learns`: which blocks ever learn. For an outline: without memory for the state. */
BW_MUST_CHECK
bw_status bw__online_probe_create(bw_online_probe **out, bw_exec *x, const bw_network *network,
                                  const bool *learns, int64_t images);
void bw__online_probe_free(bw_online_probe *probe);
/* Bytes of the state. */
int64_t bw__online_probe_bytes(const bw_online_probe *probe);

/* One step of the classifier of block k on h [2, images, dim]. labels [images], -1: none. done: s above.
 * top1: per cent of the labelled rows that were right before the update; NaN without any. A classifier whose
 * loss is not finite begins again at 0. BW_EINVAL: labels NULL; BW_EDATA: a label too large. */
BW_MUST_CHECK
bw_status bw__online_probe_learn(bw_online_probe *probe, bw_exec *x, double *top1, int k, const float *h,
                                 const int *labels, double done);

/* Logits [n, classes] of block k for features h [n, dim], outside of a step. */
BW_MUST_CHECK
bw_status bw__online_probe_logits(const bw_online_probe *probe, int k, float *logits, const float *h,
                                  int64_t n);
/* Whether the logit of `label` is larger than every other. */
bool bw__online_probe_is_right(const bw_online_probe *probe, const float *logits, int label);
/* Whether block k has a classifier that has learnt anything. */
bool bw__online_probe_has_learnt(const bw_online_probe *probe, int k);
#endif
