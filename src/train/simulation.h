/* How long a step takes on one row of ranks, by formula. Two things have an end: what the rank does, and what
 * its link carries beside that.
 *
 * A link carries `rate` bytes a second out and as many in at once; each message arrives `delay` later. With R
 * ranks that share a batch, and L = ceil(log2 R),
 *
 *     a message of n bytes                    delay + n / rate
 *     a sum of n bytes                    2 L delay + 2 n (R - 1) / (R rate)
 *     a gather of n bytes from each         L delay +   n (R - 1) / rate
 *
 * which is reduce-scatter by halving and all-gather by doubling (Thakur, Rabenseifner and Gropp 2005), the
 * algorithm that dist/comm_mpi.c asks Open MPI for. It sends as few bytes as a ring, in 2 L messages instead
 * of 2 (R - 1). Adding up is not counted.
 *
 * The rank goes through its blocks as the trainer does (train/learn.c):
 *
 *     forward of block k, with its sums of statistics
 *     gradients of block k - 1: waits until the link has carried them; update of block k - 1
 *     loss of block k, with its sums
 *     backward of projector and head, with sums; the link begins with their gradients
 *     backward of the trunk, with sums; the link goes on with its gradients
 *
 * and waits for the last gradients, and updates, at the end. A pass that is computed in a time t and has n
 * sums is n times t / n with a sum behind it. A link carries one thing after the other: a sum of statistics
 * that comes behind gradients waits until they are through (ranks have one connection for both, and traces
 * show it: docs/scaling.md). So gradients are hidden behind what is computed until the next sum. train.split
 * sums gradients behind all passes, so nothing is beside them.
 *
 * Activations between rows go on beside all of this. Nothing comes back, so a row's step takes as long as its
 * rank or its link, whichever needs more, and the grid as long as its slowest row. */
#ifndef BW_TRAIN_SIMULATION_H
#define BW_TRAIN_SIMULATION_H
#include "blockwise/plan.h"
#include "train/traffic.h"

double bw__link_message_s(const bw_link *link, double bytes);
double bw__link_sum_s(const bw_link *link, int ranks, double bytes);
double bw__link_gather_s(const bw_link *link, int ranks, double bytes);

/* One block on one rank, in one step. */
typedef struct bw_timed_block {
    bool learns;           /* if not, all but forward_s is 0 */
    bool overlaps;         /* gradients are summed beside what follows */
    double forward_s;      /* trunk, noise, head, projector */
    double head_s;         /* loss, backward of projector and head */
    double trunk_s;        /* backward of the trunk */
    double update_s;       /* of all parameters */
    int64_t trunk_bytes;   /* of `sent.gradients`: the trunk's */
    bw_messages head_sums; /* of `sent.backward`: those of projector and head */
    bw_block_traffic sent;
} bw_timed_block;

typedef struct bw_timed_row {
    double step_s;
    double compute_s, statistics_s,
        gradients_s;   /* of it: computing; waiting for sums of statistics and losses,
                          for sums of gradients. The rest: waiting for the link */
    double link_s;     /* that the link is busy, in the direction that is busier */
    double sent_bytes; /* by one rank */
} bw_timed_row;

/* block [n]: those of the row. ranks: that share a batch. in_bytes: of the activations that the row
 * before sends, 0 where there is none; has_behind: another row gets those of its last block. */
void bw__time_row(bw_timed_row *out, const bw_timed_block *block, int n, int ranks, int64_t in_bytes,
                  bool has_behind, const bw_link *link);
#endif
