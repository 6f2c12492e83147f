/* Which consecutive blocks each row of the grid (train/grid.h) trains, and what a block costs. A pipeline
 * without a way back runs at the pace of its slowest row, so the largest row is made as small as can be. */
#ifndef BW_TRAIN_BALANCE_H
#define BW_TRAIN_BALANCE_H
#include "blockwise/config.h"
#include "blockwise/status.h"

/* Row r gets blocks begin[r] .. begin[r + 1] - 1 of n blocks with these costs, at least one; begin
 * [rows + 1]. The largest sum of a row is the least there is; among equal ones the rows in front are the
 * shorter. rows in [1, n], n <= BW_MAX_BLOCKS. Returns the largest sum. */
double bw__balance(int *begin, const double *cost, int n, int rows);

/* Time of blocks on this machine: seconds of a step are constant_s + images * image_s, with the images of
 * one view of the batch (both views are counted in the time). */
typedef struct bw_block_costs {
    int blocks;                       /* that are run: those behind the last one that learns cost nothing */
    int threads;                      /* with which it was measured */
    int64_t images[BW_MAX_BLOCKS][2]; /* of the two batches with which it was timed */
    double constant_s[BW_MAX_BLOCKS], image_s[BW_MAX_BLOCKS];
    double seconds; /* that measuring took */
} bw_block_costs;

/* Measures them with a few steps of each block at two small batches of noise, by the trainer's own step:
 * forward, loss, backward and update of blocks that learn (train.order sequential: as if all did at once),
 * the forward pass of others, without train.split. Barlow Twins stands in for a program's own rule. Takes
 * some seconds, the more the larger one step of two images is; and the memory of one block. config: resolved,
 * with loss.classes where a loss or the online probe needs them. Not collective. As bw_trainer_create(). */
BW_MUST_CHECK
bw_status bw__block_costs(bw_block_costs *out, const bw_config *config);

/* Seconds of block k for `images` images. */
static inline double bw__block_cost_s(const bw_block_costs *costs, int k, int64_t images)
{
    return costs->constant_s[k] + (double)images * costs->image_s[k];
}
#endif
