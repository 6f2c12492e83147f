/* Batches of decoded, augmented, normalised images, made ahead by worker threads. What a batch holds is
 * a function of (seed, step) alone: the same for any number of threads, and after a resume. */
#ifndef BW_DATA_LOADER_H
#define BW_DATA_LOADER_H
#include "blockwise/config.h"
#include "blockwise/dataset.h"
#include "data/corrupt.h"
#include "dist/collective.h"

typedef enum bw_loader_mode {
    BW_LOADER_VIEWS,  /* two augmented views, keyed permutation per epoch, last smaller batch dropped */
    BW_LOADER_CENTER, /* evaluation transform, in the data set's order, every image once */
    BW_LOADER_PROBE   /* random resized crop (bilinear, antialias) + flip, keyed permutation: the authors'
                         training transform of the linear probe; last smaller batch kept */
} bw_loader_mode;

typedef struct bw_loader_config {
    bw_loader_mode mode;
    int64_t image_size;
    bool keep_exact;                  /* see bw__eval_transform */
    const bw_augment_config *augment; /* copied; mean and std are used in every mode */
    int64_t batch;                    /* of all ranks together */
    int64_t first, count;             /* the slice [first, first + count) of each batch that is wanted here;
                                         count 0: all of it */
    int64_t parts;  /* of a batch, 0 or 1: one. With more the slice is that of every part: count / parts
                       images from `first` on in each batch / parts, so that part for part the ranks have
                       together what one rank has */
    int64_t images; /* use only these many of a permutation keyed by the seed alone; 0, or more than there
                       are: all */
    uint64_t seed;
    int threads;                     /* >= 1 */
    double max_bad;                  /* share */
    int64_t start_step;              /* the first batch returned is that of this step, from 0 */
    const bw_corruption *corruption; /* CENTER: done to the transformed images; NULL: none */
    int severity;                    /* of it, from 1 */
    int64_t end_step; /* no batch from this step on; 0: without end (VIEWS, PROBE), or one epoch
                         (CENTER) */
    bw_comm *comm;    /* borrowed: VIEWS, ranks whose slices make up the batch; bw__loader_next() is
                         collective over them, and they fail together. NULL: alone */
} bw_loader_config;

typedef struct bw_batch {
    float *images; /* [views, n, S, S, 3] */
    int views;     /* 2 or 1 */
    int64_t n;     /* 0 only where `count` was given: this rank's slice of a last, smaller batch */
    int64_t step, epoch;
    int64_t *index; /* [n] number of each image in the data set, after replacement of unreadable ones */
    int *labels;    /* [n] their classes, or -1 */
} bw_batch;

typedef struct bw_loader bw_loader;

/* `dataset` is borrowed and must outlive the loader. Threads start at once.
 * BW_EINVAL: batch larger than the data set (VIEWS), naming both numbers. */
BW_MUST_CHECK
bw_status bw__loader_create(bw_loader **out, const bw_dataset *dataset, const bw_loader_config *config);
void bw__loader_free(bw_loader *loader);

/* Steps in one epoch. */
int64_t bw__loader_steps_per_epoch(const bw_loader *loader);

/* Waits for the next batch. *out is borrowed until the next call; NULL with BW_OK past end_step.
 * VIEWS and PROBE replace an unreadable image by the next readable one of the epoch's order; CENTER leaves
 * it out (the batch is smaller then). Unreadable images are counted once each and the first few are logged
 * with name and reason ("cat/0017.jpg: not an image (...); 1 of 50000 skipped").
 * With ranks that is over all of them: each counts the same images in the order of the batch.
 * BW_EDATA: more than max_bad of the images that are used is unreadable, or all of them. A loader that has
 * failed answers the same for ever. */
BW_MUST_CHECK
bw_status bw__loader_next(bw_loader *loader, const bw_batch **out);

/* Bytes of the batches of a run with this config: the one handed out and those in the making. */
int64_t bw__loader_bytes(const bw_config *config);

/* Unreadable images met so far, and how many there may be. */
int64_t bw__loader_bad(const bw_loader *loader);
int64_t bw__loader_bad_limit(const bw_loader *loader);
/* Seconds bw__loader_next() has waited so far. */
double bw__loader_wait_s(const bw_loader *loader);
#endif
