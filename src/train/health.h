/* Is a block alive? */
#ifndef BW_TRAIN_HEALTH_H
#define BW_TRAIN_HEALTH_H
#include "nn/exec.h"

typedef struct bw_health {
    double embedding_std; /* mean over dimensions of the std over the batch of z / |z|, times sqrt(d): about 1
                             for spread embeddings, 0 for collapsed ones (Chen & He 2021, sec. 4.1) */
    double effective_rank;     /* RankMe (Garrido et al. 2023, eq. 1): exp of the entropy of the normalised
                                  singular values of z */
    double effective_rank_max; /* the most it can be: the smaller of rows and columns */
} bw_health;

/* z [n, d]; at most 512 rows are used: the first ones, and where ranks share the batch the first ones of
 * each, as many of each, gathered on all of them. Memory comes from the arena, but for what LAPACK takes for
 * itself. BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__health(bw_health *out, bw_exec *x, const float *z, int64_t n, int64_t d);

/* Share of the c channels of `out` [n, positions, c], of x->type and behind a ReLU, that are 0 at every
 * position of every image, on all ranks that share the batch. Scratch is n * c floats of the arena. */
double bw__dead_channels(bw_exec *x, const void *out, int64_t n, int64_t positions, int64_t c);
#endif
