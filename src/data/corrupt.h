/* Corruptions of Hendrycks & Dietterich 2019 ("Benchmarking neural network robustness to common corruptions
 * and perturbations") that are plain operations on one 8-bit image. */
#ifndef BW_DATA_CORRUPT_H
#define BW_DATA_CORRUPT_H
#include "blockwise/dataset.h"
#include "base/rng.h"

/* Images of at most this many pixels a side take the severities of CIFAR-10-C, larger ones ImageNet-C's. */
#define BW_CORRUPT_SMALL_IMAGE 64

typedef struct bw_corruption {
    const char *name, *help;
    bw_status (*apply)(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
    double small[BW_SEVERITIES][2], large[BW_SEVERITIES][2]; /* strength by severity */
} bw_corruption;

/* NULL where no corruption has this name. */
const bw_corruption *bw__corruption_named(const char *name);
/* Number `index` of the table; NULL past the last. */
const bw_corruption *bw__corruption_at(int index);

/* Changes `pixels` [size, size, 3] in place. `severity` counts from 1 to BW_SEVERITIES. What is random is a
 * function of (seed, corruption, severity, image) alone. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__corrupt(uint8_t *pixels, int64_t size, const bw_corruption *corruption, int severity,
                      uint64_t seed, int64_t image);
#endif
