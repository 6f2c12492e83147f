/** What a run will need, before it begins: memory, operations, time. */
#ifndef BLOCKWISE_PLAN_H
#define BLOCKWISE_PLAN_H
#include "blockwise/config.h"
#ifdef __cplusplus
extern "C" {
#endif

/** What one block takes in every step in which it learns. */
typedef struct bw_plan_block {
    int64_t trunk_parameters, head_parameters, projector_parameters; /**< trained values */
    int64_t flops;       /**< forward, loss and backward; a multiply-add counts as two. Of a block that never
                              learns: the trunk's forward; none where it is not run */
    int64_t saved_bytes; /**< kept between forward and backward, the block's input included */
    int64_t arena_bytes; /**< the most that is taken while the block works: saved tensors, the boundary to
                              the next block, gradients of activations, scratch */
} bw_plan_block;

/** What a run needs, by bw_plan_make(). */
typedef struct bw_plan {
    int blocks;
    bw_plan_block block[BW_MAX_BLOCKS];
    int64_t parameters;     /**< of all blocks */
    int64_t flops;          /**< of a step; of the average step of the run where they differ, sequential */
    int64_t repeated_flops; /**< done again: in the backward pass with train.recompute, and the forward pass
                               of every part with train.split; not in flops */
    int64_t
        weight_bytes;      /**< values and running statistics of all blocks; momenta, and squares of adamw, of
                              those that learn; the online probe's; one gradient buffer, as large as the largest of
                              these; and with      train.split sums of gradients of all that learn at once */
    int64_t arena_bytes;   /**< activations, their gradients and scratch: the largest block_bytes */
    int64_t input_bytes;   /**< the batch and the loader's queue; what scoring the online probe takes */
    int64_t process_bytes; /**< this process with its libraries and the kernels they generate */
    int64_t peak_bytes;    /**< the sum: resident memory of a pretraining run at its highest. The data
                                set's own pixels come on top where they are kept in memory (IDX, CIFAR) */
} bw_plan;

/** Counts what a resolved config needs. Neither weights nor activations are allocated: a step is done over
 *  memory that is not there, by the trainer's own code, so that plan and run cannot disagree.
 *  process_bytes is measured in this process.
 *  @return BW_OK; BW_EINVAL (config not resolved, or cross-entropy or probe.every without loss.classes),
 * BW_EKERNEL, BW_ENOMEM: also for a run that no memory would be enough for, because a tensor would be larger
 * than the compute library can count (64 GB); the message names the layer */
BW_API BW_MUST_CHECK
bw_status bw_plan_make(bw_plan *out, const bw_config *config);

/** Counts what a rank of row `row`, from 0, of parallel.block needs, where row r has blocks begin[r] to
 *  begin[r + 1] - 1 of those that are run (bw_simulated.begin): flops, gradients, arena and the queues
 *  between rows are the row's. bw_plan_make() counts the first row of even shares. As bw_plan_make();
 *  BW_EINVAL: there is no such row; begin does not rise from 0 to the number of blocks that are run. */
BW_API BW_MUST_CHECK
bw_status bw_plan_make_row(bw_plan *out, const bw_config *config, const int *begin, int row);

/** The largest train.batch whose peak is at most `bytes`, the rest of a resolved config as it is; 0 where
 *  even the smallest batch needs more. Takes some seconds. As bw_plan_make(), but for BW_ENOMEM of the
 *  config's own batch, which is not looked at. */
BW_API BW_MUST_CHECK
bw_status bw_plan_largest_batch(int64_t *out, const bw_config *config, int64_t bytes);

/** Resident memory that this process may have: the least of what the machine has free, control groups and
 *  the limits of the process (ulimit -v, -d). */
BW_API int64_t bw_available_bytes(void);

/** BW_OK if a run of a resolved config fits into bw_available_bytes(); BW_ENOMEM with what it needs, what
 * there is and the largest batch that fits. bw_pretrain() begins with it. Otherwise as bw_plan_make(). */
BW_API BW_MUST_CHECK
bw_status bw_plan_check(const bw_config *config);

/** Seconds of one step of `plan` where a large matrix product runs at `gflops` GFLOP/s (bw_bench_matmul()):
 * the step is assumed to reach BW_PLAN_SHARE of that rate. */
BW_API double bw_plan_step_s(const bw_plan *plan, double gflops);

/** Share of the rate of large matrix products that whole steps reach: the median of measured steps. To
 * measure it anew, divide `gflops` of `blockwise bench step` by the result of `blockwise bench matmul` for
 *  2048 x 2048 x 2048, for the networks and batches of bench/compare.sh. */
#define BW_PLAN_SHARE 0.74

/** What connects nodes: each has a link that carries bytes_per_s out and as many in at once, to a switch that
 *  is no limit. delay_s: from the call of one node to the arrival of a short message on another, half of a
 *  round trip; `blockwise bench comm` measures it (send, 8 bytes). Of bytes_per_s 94 % are taken for
 * messages, the rest for the frames around them. No network: INFINITY and 0. */
typedef struct bw_link {
    double bytes_per_s, delay_s;
} bw_link;

/** A step on one grid of nodes, one rank on each. */
typedef struct bw_simulated {
    int data, rows;               /**< parallel.data, parallel.block */
    int begin[BW_MAX_BLOCKS + 1]; /**< [rows + 1]: row r trains blocks begin[r] .. begin[r + 1] - 1, from 0,
                                       balanced by what they cost */
    double row_s[BW_MAX_BLOCKS];  /**< [rows]: what a step of the row takes */
    int slowest;                  /**< row */
    double step_s;                /**< its: where all rows are busy, every step takes as long */
    double compute_s, statistics_s, gradients_s; /**< of it: computing; waiting for sums of statistics and
                                                      losses; for sums of gradients. What is left: waiting for
                                                      activations to be sent */
    double link_s;                               /**< that its link is busy */
    double sent_bytes;                           /**< by all nodes together */
} bw_simulated;

typedef struct bw_simulation bw_simulation;

/** Makes ready for simulating steps of a resolved config: its batch, on nodes that have config->threads
 *  threads each. What blocks cost is measured on this machine with a few steps of each, which takes some
 *  seconds and the memory of one block at a few images; or, with gflops > 0, is their operations at
 *  BW_PLAN_SHARE of that rate. parallel.* of the config are not looked at. Loading images is not counted.
 *  Barlow Twins is timed in place of a program's own rule (blockwise/rule.h).
 *  src/train/simulation.h has the formulas and what they assume of sums.
 *  @return BW_OK; BW_EINVAL (config not resolved, a link without rate, or cross-entropy without
 *          loss.classes), BW_EKERNEL, BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_simulation_create(bw_simulation **out, const bw_config *config, const bw_link *link,
                               double gflops);
BW_API void bw_simulation_free(bw_simulation *simulation);
/** Seconds that measuring took; 0 where gflops was given. */
BW_API double bw_simulation_measured_s(const bw_simulation *simulation);
/** Blocks that are run: the most rows there can be. */
BW_API int bw_simulation_blocks(const bw_simulation *simulation);
/** Seconds that block k, from 0, takes for `images` images on one node, without other nodes; of the average
 *  step of the run; 0 for a block that is not run. */
BW_API double bw_simulation_block_s(const bw_simulation *simulation, int k, int64_t images);

/** A step on data x rows nodes. BW_EINVAL where such a run would be refused: the batch cannot be dealt evenly
 *  to `data` nodes; more rows than blocks that are run; rows and train.order sequential. */
BW_API BW_MUST_CHECK
bw_status bw_simulation_grid(const bw_simulation *simulation, bw_simulated *out, int data, int rows);
/** The quickest grid of so many nodes; of equal ones that with fewer rows. BW_EINVAL: there is none. */
BW_API BW_MUST_CHECK
bw_status bw_simulation_best(const bw_simulation *simulation, bw_simulated *out, int nodes);

#ifdef __cplusplus
}
#endif
#endif
