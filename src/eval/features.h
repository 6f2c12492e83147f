/* Features of a data set: every wanted block in one pass over the images. */
#ifndef BW_EVAL_FEATURES_H
#define BW_EVAL_FEATURES_H
#include "eval/image_pass.h"
#include "eval/linear_classifier.h"

/* What is wanted of the network: one feature of one block, or of all blocks side by side. */
typedef struct bw_target {
    int block; /* from 0; -1: the concatenation of all */
    bw_feature feature;
} bw_target;

typedef struct bw_target_list {
    int n;
    bw_target item[2 * (BW_MAX_BLOCKS + 1)];
} bw_target_list;

/* The chosen blocks (from 0, or -1: all), head before trunk, then the concatenations.
 * BW_EINVAL: no such block, no feature chosen, or the head of a network without heads. */
BW_MUST_CHECK
bw_status bw__targets(bw_target_list *out, const bw_network *network, int block, bool head, bool trunk,
                      bool concat);

/* Places for features, and what fills them: x[feature][block] is [room, feature_dim], or NULL where it is not
 * wanted. */
typedef struct bw_feature_arrays {
    const bw_network *network; /* borrowed */
    bw_extractor *extractor;
    int64_t batch, image_size; /* of the extractor */
    float *x[2][BW_MAX_BLOCKS];
} bw_feature_arrays;

BW_MUST_CHECK
bw_status bw__feature_arrays_create(bw_feature_arrays *arrays, const bw_network *network,
                                    const bw_target_list *targets, const bw_image_pass *pass, int64_t room);
void bw__feature_arrays_clear(bw_feature_arrays *arrays);
/* The columns of a target. */
bw_columns bw__feature_columns(const bw_feature_arrays *arrays, bw_target target);
/* Runs the network on n images, any number of them, and puts their features at rows [row, row + n). */
BW_MUST_CHECK
bw_status bw__feature_arrays_fill(bw_feature_arrays *arrays, int64_t row, const float *images, int64_t n);

/* Features, labels and numbers of the images of a data set. */
typedef struct bw_feature_set {
    bw_feature_arrays arrays;
    int64_t n;
    int64_t *index;     /* [n] number of the image in the data set */
    int *label;         /* [n] */
    int64_t unlabelled; /* images left out for want of a label */
} bw_feature_set;

/* `labelled`: leave images without a label out. Start from all zero bytes; clear after success or failure. */
BW_MUST_CHECK
bw_status bw__feature_set_fill(bw_feature_set *set, const bw_network *network, const bw_dataset *dataset,
                               const bw_target_list *targets, const bw_image_pass *pass, bool labelled,
                               const bw_progress *progress);
void bw__feature_set_clear(bw_feature_set *set);
#endif
