/* Which image stands at which place of which batch: a pure function of the settings and the step. */
#ifndef BW_DATA_SAMPLER_H
#define BW_DATA_SAMPLER_H
#include "data/loader.h"

typedef struct bw_sampler {
    bw_loader_mode mode;
    uint64_t seed;
    int64_t size;         /* of the data set */
    int64_t used;         /* images of it that are used */
    int64_t batch;        /* of all ranks */
    int64_t first, count; /* slice of each batch */
    int64_t parts;        /* of each batch, and of the slice */
    int64_t steps_per_epoch;
    int64_t *subset; /* [used] ascending, for a limited number of images in the data set's order; or NULL */
} bw_sampler;

BW_MUST_CHECK
bw_status bw__sampler_init(bw_sampler *sampler, int64_t size, const bw_loader_config *config);
void bw__sampler_clear(bw_sampler *sampler);

/* Images of this rank's slice of the batch of `step`; most of them all. */
int64_t bw__sampler_images(const bw_sampler *sampler, int64_t step);
int64_t bw__sampler_images_most(const bw_sampler *sampler);

/* Place in the whole batch of image `i` of the slice. */
int64_t bw__sampler_place(const bw_sampler *sampler, int64_t i);

/* Number in the data set of the image at place `i` of the slice; `further` places down the epoch's order
 * from there, beginning anew behind the last. */
int64_t bw__sampler_index(const bw_sampler *sampler, int64_t step, int64_t i, int64_t further);
#endif
