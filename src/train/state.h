/* Everything of a run that has state, as one list: what a checkpoint holds, what ranks get from the first,
 * and what they must agree in. */
#ifndef BW_TRAIN_STATE_H
#define BW_TRAIN_STATE_H
#include "train/grid.h"
#include "train/online_probe.h"

#define BW_STATE_PER_BLOCK 6

typedef struct bw_state_item {
    char name[40]; /* blocks.1.values */
    int block;     /* from 0 */
    bool counter;  /* one int64_t; else floats */
    int64_t count;
    size_t bytes;
    void *data;
} bw_state_item;

typedef struct bw_state {
    int n;
    bw_state_item item[BW_STATE_PER_BLOCK * BW_MAX_BLOCKS];
} bw_state;

/* Values, momenta, squares and counters of every block, and the classifiers of the online probe unless NULL;
 * the arrays themselves, borrowed. */
void bw__state_list(bw_state *out, const bw_network *network, const bw_online_probe *probe);

/* Gives all ranks what rank 0 has, the step of the network too; with several rows of the grid each row gets
 * its own blocks. Collective over the grid. BW_EREMOTE, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__state_share(bw_network *network, bw_online_probe *probe, const bw_grid *grid);
/* The way back: rank 0 gets what other rows have; nothing with one row. It keeps room for all of it.
 * Collective over the grid, whose rows have done the same steps. BW_EREMOTE, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__state_collect(bw_network *network, bw_online_probe *probe, const bw_grid *grid);

/* Whether all ranks that share batches have the same bits of their blocks. Collective over the grid; all
 * agree on the result. BW_EKERNEL on the lowest rank that differs from the first of its row, naming the first
 * array that does. */
BW_MUST_CHECK
bw_status bw__state_compare(const bw_network *network, const bw_online_probe *probe, const bw_grid *grid);
#endif
