/* The learning rate of one block over the steps in which it learns: peak = base * batch / 256; linear warm-up
 * from 0 at step 0 (Barlow Twins' code), then
 *
 *     cosine    from peak down to peak * final_lr (the same code): with s the steps behind the warm-up of n,
 *                   q = (1 + cos(pi s / n)) / 2,  peak * q + peak * final_lr * (1 - q)
 *     step      peak * decay_factor^(number of decay_at that are passed): falls at step round(share * total)
 *               (torch.optim.lr_scheduler.MultiStepLR with these milestones)
 *     constant  peak */
#ifndef BW_TRAIN_SCHEDULE_H
#define BW_TRAIN_SCHEDULE_H
#include "blockwise/config.h"

typedef struct bw_schedule {
    bw_schedule_name name;
    double peak, end;
    int64_t warmup_steps, total_steps;
    double decay_factor;
    int decays;
    int64_t decay_step[BW_MAX_DECAYS];
} bw_schedule;

/* total_steps: those of the block. Warm-up takes optimizer.warmup_epochs, but never more than a tenth of
 * them. */
bw_schedule bw__schedule(const bw_config *config, const bw_optimizer_config *optimizer,
                         int64_t steps_per_epoch, int64_t total_steps);
/* For step `step`, from 0; beyond the last, what the schedule falls to. */
double bw__schedule_lr(const bw_schedule *schedule, int64_t step);
#endif
