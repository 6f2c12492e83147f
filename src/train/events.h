/* What TensorBoard shows of a run: the values of metrics.jsonl by block, and views of some images. Beside
 * metrics.jsonl, which is the record of a run, this is a convenience: what cannot be written is warned of
 * once, and the run goes on without. */
#ifndef BW_TRAIN_EVENTS_H
#define BW_TRAIN_EVENTS_H
#include "blockwise/trainer.h"

typedef struct bw_events bw_events;

enum {
    BW_EVENTS_POINTS = 10000, /* of a curve at most, where events.every is auto */
    BW_EVENTS_PICTURES = 10   /* in a run; those a start begins with come on top */
};

/* A new event file in `folder` for the steps behind `first` up to `total`; a run has one for every time it
 * was started. NULL where events.every is 0 or the file cannot be made; the functions below do nothing then.
 */
bw_events *bw__events_open(const char *folder, const bw_config *config, int64_t first, int64_t total);
void bw__events_close(bw_events *events);

/* Adds a step; those between points are left out unless they have health, a score, or are the last. */
void bw__events_step(bw_events *events, const bw_step *step);

/* Adds views of the first images of a batch as one picture, an image a column, where one is due. views [2, n,
 * size, size, 3], normalised as the config says. */
void bw__events_views(bw_events *events, int64_t step, const float *views, int64_t n);
#endif
