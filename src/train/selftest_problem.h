/* The problem that both parts of the self-test train on, and how far two who did are apart. A small network
 * on pictures of random patches, SGD with noise `all`, five steps. */
#ifndef BW_TRAIN_SELFTEST_PROBLEM_H
#define BW_TRAIN_SELFTEST_PROBLEM_H
#include "train/selftest.h"

enum { BW_SELFTEST_STEPS = 5 };

/* A network with its trainer, and what came of the steps. Begins with .grid = bw__grid_alone(). */
typedef struct bw_selftest_side {
    bw_config config;
    bw_grid grid;
    bw_network *network;
    bw_trainer *trainer;
    float *views;
    int *labels;
    double loss[BW_SELFTEST_STEPS][BW_MAX_BLOCKS];
} bw_selftest_side;

/* settings: a list over those of all problems, NULL at its end. ranks NULL: alone; otherwise collective. */
BW_MUST_CHECK
bw_status bw__selftest_make(bw_selftest_side *side, bw_comm *ranks, const char *const *settings);
void bw__selftest_drop(bw_selftest_side *side);
/* The network as it begins. Its biases keep inputs of ReLU from 0, where the gradient jumps. */
BW_MUST_CHECK
bw_status bw__selftest_network(bw_network **out, const bw_config *config);

/* On this rank's images of step `number`. */
BW_MUST_CHECK
bw_status bw__selftest_step(bw_selftest_side *side, bw_step *out, int64_t number);
/* All of them. */
BW_MUST_CHECK
bw_status bw__selftest_train(bw_selftest_side *side);

/* A learning rate for every block, as settings: gradients of losses and heads differ by orders of magnitude.
 * From that of the first step: one step without momentum moves the block by a small share of its length. */
typedef struct bw_selftest_rates {
    int n;
    double lr[BW_MAX_BLOCKS];
} bw_selftest_rates;
BW_MUST_CHECK
bw_status bw__selftest_find_rates(bw_selftest_rates *out, const char *const *settings);

/* How far `other` is from `one`, which both began as `start`; NaN stays. */
typedef struct bw_selftest_distance {
    double by_loss;       /* largest of any step and block: |difference| / |loss| */
    double by_statistics; /* largest of any tensor of running statistics: |difference| / way; and: */
    double by_weights;    /* where `way` is how far the tensor went from its start, or would have gone with
                             the mean over its block, whichever is more */
    double moved;         /* |way| / |start| of the weights, the least of any block */
} bw_selftest_distance;
void bw__selftest_compare(bw_selftest_distance *out, const bw_network *start, const bw_selftest_side *one,
                          const bw_selftest_side *other);
#endif
