/* Softmax regression by SGD on plain arrays of features, several learning rates at once. */
#ifndef BW_EVAL_LINEAR_CLASSIFIER_H
#define BW_EVAL_LINEAR_CLASSIFIER_H
#include "eval/eval_progress.h"
#include <stdint.h>

#define BW_LINEAR_MAX_LR 16

/* Rows of features in one or more arrays side by side, so that blocks are concatenated without a copy:
 * element d of row i of array p is x[p][i * dim[p] + d]. */
typedef struct bw_columns {
    int parts;
    const float *x[BW_MAX_BLOCKS];
    int64_t dim[BW_MAX_BLOCKS];
} bw_columns;
int64_t bw__columns_dim(const bw_columns *columns);

/* Some rows of the features, with their labels: row i of the selection is row rows[i] of the arrays. */
typedef struct bw_selection {
    const bw_columns *columns;
    const int *label;    /* of the rows of the arrays, in [0, classes) */
    const int64_t *rows; /* [n], or NULL: the first n */
    int64_t n;
} bw_selection;

typedef struct bw_linear_config {
    int64_t dim;
    int classes;
    int64_t batch;
    int n_lr; /* 1..BW_LINEAR_MAX_LR classifiers that differ in learning rate alone */
    double lr[BW_LINEAR_MAX_LR];
    double momentum, weight_decay; /* weight decay acts on weights and biases, as torch.optim.SGD has it */
    double init_std;               /* of the weights; biases start at 0 */
    uint64_t seed;
    int threads;
} bw_linear_config;

/* n_lr classifiers: logits = W^T ((x - mean) * scale) + b, mean 0 and scale 1 to begin with. The same bits
 * for any number of threads. */
typedef struct bw_linear bw_linear;

BW_MUST_CHECK
bw_status bw__linear_create(bw_linear **out, const bw_linear_config *config);
void bw__linear_free(bw_linear *linear);

/* Sets mean and scale so that each feature has mean 0 and variance 1 over the selection. A feature that does
 * not vary (beyond rounding) gets scale 0. */
void bw__linear_standardise(bw_linear *linear, const bw_selection *selection);

/* One step on one batch, 1 <= n <= config.batch: gradient of the mean cross-entropy, then
 * v = momentum * v + (g + weight_decay * w);  w -= lr * lr_factor * v   (torch.optim.SGD). */
void bw__linear_step(bw_linear *linear, const bw_selection *batch, double lr_factor);

/* `epochs` passes over the selection in batches of config.batch (the last may be smaller), in an order that
 * is a permutation keyed by seed and epoch; the learning rate follows half a cosine, step by step.
 * BW_EINTERRUPTED; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__linear_fit(bw_linear *linear, const bw_selection *train, int epochs,
                         const bw_progress *progress);

/* Per cent of the selection whose class has the highest logit, and one of the five highest, for each learning
 * rate: top1, top5 [n_lr]. Equal logits: the lower class comes first. A classifier that has diverged (logits
 * not finite) scores nothing for the rows concerned. */
void bw__linear_score(double *top1, double *top5, bw_linear *linear, const bw_selection *test);

/* BW_ENONFINITE if the classifier of learning rate number `lr` has diverged, or its features were not finite.
 */
BW_MUST_CHECK
bw_status bw__linear_check_finite(const bw_linear *linear, int lr);

/* The classifier of learning rate number `lr`: weights [dim + 1, classes], the last row the biases; a copy.
 */
void bw__linear_weights(float *weights, const bw_linear *linear, int lr);

/* The same for features as they are, mean and scale taken into it: logits = weight x + bias, weight
 * [classes, dim], bias [classes]. */
void bw__linear_fold(float *weight, float *bias, const bw_linear *linear, int lr);
#endif
