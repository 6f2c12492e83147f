/* A loss of two views' embeddings and its gradient. Adding one: a file with its bw_loss_ops, a line in
 * BW_LOSS_LIST of blockwise/config.h (docs/architecture.md has an example).
 *
 * Where ranks share the batch (x->comm, the same at creation and at every run) each gives the rows of its own
 * n images, and a loss is one of all N = n * ranks. Every rank gets the same value and terms, and the
 * gradient of the whole loss with respect to its own rows. Bytes that each gives to sums and gathers in a
 * run, by the embedding size D:
 *
 *     barlow-twins   4 D^2 + 64 D         correlation matrix; batch norm, forward and backward
 *     vicreg         4 D^2 + 36 D + 8     half a covariance matrix, means, variances of each view; distance
 *     simclr         2 n (4 D + 24)       rows of length 1, gathered; their sums
 *     cross-entropy  24                   three sums
 *     custom         what the rule sums and gathers
 */
#ifndef BW_LOSS_LOSS_H
#define BW_LOSS_LOSS_H
#include "blockwise/config.h"
#include "nn/exec.h"

enum { BW_LOSS_TERMS = 3 }; /* the most that a loss has */

typedef struct bw_loss_value {
    double total;               /* what is minimised */
    double term[BW_LOSS_TERMS]; /* unweighted and unscaled; names: bw__loss_own_terms() */
} bw_loss_value;

typedef struct bw_loss bw_loss;

/* n: images of one view on this rank, the same on every rank, and on all together as many as a loss needs
 * (most: 2); d: embedding size, >= 1. config is copied. BW_EINVAL where n or d is too small, with the reason.
 */
BW_MUST_CHECK
bw_status bw__loss_create(bw_loss **out, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d);
void bw__loss_free(bw_loss *loss);

/* Value and gradient: z [2, n, d], both views; diff_z [2, n, d] overwritten, must not overlap z. labels [n]
 * in [0, d), or NULL for a loss that does not look at them (bw__loss_needs_labels()). The loss is one of the
 * whole batch, so parameter gradients made from diff_z by several ranks are to be summed, never averaged.
 * Collective over x->comm but over a dry arena; all ranks fail where one does, of these causes:
 * BW_ENONFINITE: the loss is not finite, on every rank; BW_EDATA: a label out of range, and BW_EREMOTE on
 * ranks whose own are right; BW_EREMOTE: MPI failed. diff_z is undefined then. */
BW_MUST_CHECK
bw_status bw__loss_run(bw_loss *loss, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                       const int *labels);
/* Where the loss stands, for rules that ask: `steps_done` is borrowed and read in each run. */
void bw__loss_place(bw_loss *loss, uint64_t seed, int block, const int64_t *steps_done);
/* Names of its terms as metrics have them, at most BW_LOSS_TERMS and then NULL. Borrowed, valid for ever. A
 * rule may be registered anew: a loss keeps the terms it was created with. */
const char *const *bw__loss_terms(const bw_loss_config *config);
const char *const *bw__loss_own_terms(const bw_loss *loss);
bool bw__loss_needs_labels(const bw_loss_config *config);
/* Floating point operations of its matrix products on this rank. */
int64_t bw__loss_flops(const bw_loss *loss);

/* What one loss provides; functions as those above. `state` is its own. Over a dry arena (bw__exec_is_dry())
 * `run` takes its memory and leaves all values alone. Over several ranks `run` calls the same collectives
 * (bw__exec_sum_f32(), bw__exec_sum_f64()) on each, whatever the values are. */
typedef struct bw_loss_ops {
    const char *name;
    const char *terms[BW_LOSS_TERMS + 1]; /* NULL at the end */
    bool needs_labels;
    bw_status (*create)(void **state, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d);
    void (*place)(void *state, uint64_t seed, int block, const int64_t *steps_done); /* or NULL */
    void (*destroy)(void *state);
    bw_status (*run)(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                     const int *labels);
    int64_t (*flops)(const void *state);
} bw_loss_ops;
#endif
