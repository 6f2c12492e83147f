/* The learning rate (Barlow Twins' code): peak = base * batch / 256; linear warm-up from 0 at step 0, then a
 * cosine from peak down to peak * final_lr. */
#ifndef BW_TRAIN_SCHEDULE_H
#define BW_TRAIN_SCHEDULE_H
#include "blockwise/config.h"

typedef struct bw_schedule {
    double peak, end;
    int64_t warmup_steps, total_steps;
} bw_schedule;

/* Warm-up takes optimizer.warmup_epochs, but never more than a tenth of the run. */
bw_schedule bw__schedule(const bw_config *config, const bw_optimizer_config *optimizer,
                         int64_t steps_per_epoch);
/* Number of steps of the whole run: train.epochs, or train.steps where that is less and not -1. */
int64_t bw__schedule_total_steps(const bw_config *config, int64_t steps_per_epoch);
/* For step `step`, from 0. */
double bw__schedule_lr(const bw_schedule *schedule, int64_t step);
#endif
