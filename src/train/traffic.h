/* What the ranks of a grid send in a step of training, by formula: from the shapes of the network's layers
 * alone. `bench comm --step` counts it in steps that are run (dist/collective.h), and both agree.
 *
 * With V = 2 views, c the channels of a batch norm, D the embedding's size, N the images of a batch on this
 * rank of R that share it, P the trained parameters of a block, in bytes of a rank's values:
 *
 *     batch norm             forward 2 V c doubles, backward 2 V c doubles
 *     fused head c to d      forward V (c + d) doubles, backward 2 V d doubles
 *     noise `all`            forward 3 V doubles, backward 3 V doubles
 *     loss barlow-twins      as a batch norm of D channels in both directions, and D^2 floats
 *          vicreg            for each view 2 D doubles and D (D + 1) / 2 floats; one double
 *          simclr            gathered: V N D floats and V N * 24 bytes
 *          cross-entropy     3 doubles
 *     gradients              P floats, summed beside the forward pass of the next block
 *     activations            the output of a row's last block, V N h w c values, to the next row
 *
 * Measures of health and the online probe, which are not of every step or not of training, come on top. */
#ifndef BW_TRAIN_TRAFFIC_H
#define BW_TRAIN_TRAFFIC_H
#include "dist/collective.h"
#include "model/network_internal.h"

typedef struct bw_messages {
    int64_t calls, bytes; /* bytes: of all calls, of this rank's values */
} bw_messages;

/* In one step, of one rank that trains the block. */
typedef struct bw_block_traffic {
    bw_messages forward, backward; /* sums of statistics in the passes; those of the loss in `loss` */
    bw_messages loss, gathered;    /* sums of the loss, and what it gathers: bytes from each rank */
    bw_messages gradients;
    bw_messages output; /* to the row that trains the next block, where that is another one */
} bw_block_traffic;

/* Of block k of `network`, which may be an outline, where `ranks` ranks share batches; all zero but the
 * output where it is one, or where the block does not learn. */
bw_block_traffic bw__block_traffic(const bw_network *network, int k, int ranks, bool learns);

/* What a rank counts (bw__comm_count()) of one kind in such a step of blocks first .. end - 1, without what
 * rows send each other. */
bw_messages bw__traffic_of_kind(const bw_block_traffic *blocks, int first, int end, bw_comm_kind kind);
#endif
