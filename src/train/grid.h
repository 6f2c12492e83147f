/* Where a rank stands: ranks form a grid of parallel.block rows, each with a share of the blocks, times
 * parallel.data ranks that share every batch. Rank r is in row r / data, place r % data, so that ranks that
 * share a batch, which talk most, are neighbours. */
#ifndef BW_TRAIN_GRID_H
#define BW_TRAIN_GRID_H
#include "blockwise/config.h"
#include "dist/collective.h"

typedef struct bw_grid {
    bw_comm *world;               /* borrowed; NULL: one rank */
    int data, rows;               /* ranks that share a batch; shares of the blocks */
    int place, row;               /* of this rank */
    bw_comm *batch;               /* the ranks of this row; NULL with one */
    int begin[BW_MAX_BLOCKS + 1]; /* [rows + 1], with several rows: row r has blocks begin[r] .. begin[r + 1]
                                     - 1 of those that are run */
} bw_grid;

/* The grid of one rank. */
bw_grid bw__grid_alone(void);
/* For planning: the first rank of the grid that a resolved config asks for, without the others. BW_EINVAL:
 * the batch cannot be dealt evenly, or as bw__grid_create(). */
BW_MUST_CHECK
bw_status bw__grid_outline(bw_grid *out, const bw_config *config);
/* Row r is to have blocks begin[r] .. begin[r + 1] - 1; begin [rows + 1]. BW_EINVAL: a row would have none,
 * or they are not the blocks that are run. */
BW_MUST_CHECK
bw_status bw__grid_set_rows(bw_grid *grid, const int *begin);

/* config: resolved, and the same on every rank. Collective over `world`, borrowed; NULL: one rank.
 * BW_EINVAL: the ranks do not fill the grid, the batch cannot be dealt to them evenly, more shares than
 * blocks that are run, or an order of training that has no shares to train at once; BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__grid_create(bw_grid *out, bw_comm *world, const bw_config *config);
void bw__grid_destroy(bw_grid *grid);

/* Shares the blocks so that no other shares have a smaller largest row, by what they cost on the machine of
 * rank 0, which takes some seconds there (train/balance.h). Until then every row has the same number of them,
 * give or take one. Collective over `world`; nothing with one row. As bw__block_costs(); BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__grid_balance(bw_grid *grid, const bw_config *config);

/* This rank's blocks: from the first to before the end; with one row all. */
static inline int bw__grid_first(const bw_grid *grid)
{
    return grid->rows > 1 ? grid->begin[grid->row] : 0;
}
static inline int bw__grid_end(const bw_grid *grid)
{
    return grid->rows > 1 ? grid->begin[grid->row + 1] : BW_MAX_BLOCKS;
}

/* Images of every batch on this rank. */
static inline int64_t bw__grid_images(const bw_grid *grid, const bw_config *config)
{
    return config->train.batch / grid->data;
}
#endif
