/* Everything of a run that has state, as one list: what a checkpoint holds, what ranks get from the first,
 * and what they must agree in. */
#ifndef BW_TRAIN_STATE_H
#define BW_TRAIN_STATE_H
#include "dist/collective.h"
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

/* Gives all ranks what rank 0 has, the step of the network too. Collective. BW_EREMOTE, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__state_share(bw_network *network, bw_online_probe *probe, bw_comm *comm);

/* Whether all ranks have the same bits. Collective; they agree on the result. BW_EKERNEL on the lowest rank
 * that differs from rank 0, naming the first array that does. */
BW_MUST_CHECK
bw_status bw__state_compare(const bw_network *network, const bw_online_probe *probe, bw_comm *comm);
#endif
