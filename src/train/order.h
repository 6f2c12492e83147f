/* Orders of training, as one thing: a run is phases after each other, and in each some blocks learn while
 * those before them are frozen. Simultaneous and end to end are one phase, sequential is one for each block.
 *
 * A frozen block is in evaluation mode, without noise, and nothing of it changes. Blocks behind the last one
 * that learns are not run. */
#ifndef BW_TRAIN_ORDER_H
#define BW_TRAIN_ORDER_H
#include "blockwise/config.h"

typedef struct bw_phase {
    int64_t begin, end; /* its steps, from 0; `end` is not one of them */
    int last;           /* the last block that is run */
    bool learns[BW_MAX_BLOCKS];
} bw_phase;

typedef struct bw_phases {
    int n;
    int64_t steps; /* of the whole run */
    bw_phase at[BW_MAX_BLOCKS];
} bw_phases;

/* Of a network of `blocks` blocks, all that train.blocks names among them. Sequential: number i of the n
 * blocks that learn has the steps from i * steps / n on. */
void bw__phases(bw_phases *out, const bw_config *config, int blocks, int64_t steps_per_epoch);
/* That of step `step`, from 0; the last one for steps beyond the run. */
const bw_phase *bw__phase_at(const bw_phases *phases, int64_t step);
/* The first block that learns in it. */
int bw__phase_first(const bw_phase *phase);
/* That in which block k learns, or NULL. */
const bw_phase *bw__phases_of(const bw_phases *phases, int k);

/* Steps of the whole run: train.epochs, sequential as often as blocks learn; or train.steps where that is
 * less and not -1. */
int64_t bw__order_steps(const bw_config *config, int blocks, int64_t steps_per_epoch);
#endif
