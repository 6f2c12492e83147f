/* One pass over the images of a data set, in its order, each seen through the evaluation transform. */
#ifndef BW_EVAL_IMAGE_PASS_H
#define BW_EVAL_IMAGE_PASS_H
#include "data/loader.h"
#include "eval/eval_progress.h"

typedef struct bw_image_pass {
    int64_t image_size;
    bool keep_exact;                  /* see bw__eval_transform */
    const bw_augment_config *augment; /* mean and std */
    int64_t batch;
    int64_t max_images; /* of a permutation keyed by the seed; 0: all */
    uint64_t seed;
    int threads;
    double max_bad;
    const bw_corruption *corruption; /* NULL: none */
    int severity;
} bw_image_pass;

/* How the network wants its images. */
bw_image_pass bw__image_pass_of(const bw_config *config, int64_t max_images, uint64_t seed, int threads);

/* Images a pass will see at most. */
int64_t bw__image_pass_size(const bw_image_pass *pass, const bw_dataset *dataset);

typedef bw_status (*bw_batch_fn)(void *user, const bw_batch *batch);

/* Calls `fn` with every batch until it fails. As bw__loader_next(), and BW_EINTERRUPTED. */
BW_MUST_CHECK
bw_status bw__image_pass(const bw_image_pass *pass, const bw_dataset *dataset, bw_batch_fn fn, void *user,
                         const bw_progress *progress);
#endif
