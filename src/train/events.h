/* What TensorBoard shows of a run: the values of metrics.jsonl by block, and views of some images. */
#ifndef BW_TRAIN_EVENTS_H
#define BW_TRAIN_EVENTS_H
#include "blockwise/trainer.h"

typedef struct bw_events bw_events;

/* A new event file in `folder` for the steps after `first` up to `total`; a run has one for every time it was
 * started. Long runs have about BW_EVENTS_POINTS points of each curve. */
enum { BW_EVENTS_POINTS = 10000 };
BW_MUST_CHECK
bw_status bw__events_open(bw_events **out, const char *folder, int64_t first, int64_t total);
void bw__events_close(bw_events *events);

/* Adds a step; those between points are left out unless they have health, a score, or are the last.
 * BW_EIO. */
BW_MUST_CHECK
bw_status bw__events_step(bw_events *events, const bw_step *step);

/* Adds the views of the first few images of a batch as one picture, view over view. views [2, n, size, size,
 * 3] normalised by mean and std. BW_EIO, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__events_views(bw_events *events, int64_t step, const float *views, int64_t n, int64_t size,
                           const bw_augment_config *augment);
#endif
