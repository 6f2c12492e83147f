/** Learning rules of the program's own: a loss for single blocks or all, by a function pointer.
 *
 *  A block learns from the embeddings z that its head and projector make of the two views of every image. A
 *  rule looks at them and says for every number of z how much what is to be minimised would rise with it:
 *  diff_z. The library takes that back through the block's projector, head and trunk and updates them; no
 *  other block sees anything of it. What diff_z is belongs to the rule: the gradient of a loss, or a
 *  direction that is the gradient of nothing.
 *
 *      static bw_status run(void *user, bw_rule_call *call) { ... }
 *
 *      const bw_rule rule = { .name = "mine", .term = { "agreement" }, .run = run };
 *      status = bw_rule_register(&rule);
 *      status = bw_config_set(&config, "blocks[2].loss={name: custom, rule: mine}");
 *
 *  With loss.name custom and loss.rule the name, for the run or for single blocks, bw_pretrain() and
 *  bw_trainer_create() train with it, on several ranks and with train.split too. The name stands in
 *  config.yaml and in files of weights: a run goes on under the same name only, and any program can load and
 *  evaluate its network, whether it has the rule or not. examples/custom_loss.c is a whole one. */
#ifndef BLOCKWISE_RULE_H
#define BLOCKWISE_RULE_H
#include "blockwise/config.h"
#include "blockwise/status.h"
#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define BW_MAX_RULES  64 /**< that a program can register */
#define BW_RULE_TERMS 3  /**< the most that a rule has */

/** One block in one step. The library makes it. */
typedef struct bw_rule_call {
    int block;       /**< from 0 */
    int threads;     /**< that the rule may use */
    int rank, ranks; /**< this one's number, and how many share the batch; 0 and 1 alone */
    int64_t step;    /**< steps done before this one */
    /** The run's. Random numbers that follow from seed, step and block alone are the same after a resume. */
    uint64_t seed;
    /** loss.scale, 1 by default: a factor on L and diff_z, which the rule applies. */
    double scale;
    int64_t classes; /**< loss.classes, for a rule that needs labels */
    int64_t n;       /**< images of one view on this rank, on all ranks the same */
    int64_t all;     /**< images of one view on all ranks: N = n * ranks */
    int64_t dim;     /**< size of an embedding: D, the last of projector.widths */
    const float *z;  /**< [2, n, D] embeddings: image i of view v begins at z[(v * n + i) * D] */
    /** [n] classes of the images, with bw_pretrain() in [0, classes) if the rule needs them; else it may be
     *  NULL. */
    const int *labels;
    void *scratch; /**< scratch_bytes at a multiple of 64; undefined at first, and gone after the call */
    /** For the rule to fill: [2, n, D] dL/dz for the rows of this rank. All NaN at first, so that rows left
     *  out are found. */
    float *diff_z;
    double total;               /**< L: finite, the same on every rank; metrics show it as loss */
    double term[BW_RULE_TERMS]; /**< parts of L for metrics, in the order of the rule's names */
    void *inside;               /**< the library's own */
} bw_rule_call;

/** A learning rule; bw_rule_register() copies it. */
typedef struct bw_rule {
    const char *name; /**< letters, digits, underscores, - and full stops, at most 31; not "none" or "auto" */
    /** Names in metrics.jsonl, NULL where there are fewer: small letters, digits and underscores, at most 23;
     *  not one of the other keys there. */
    const char *term[BW_RULE_TERMS];
    bool needs_labels; /**< data that lack the label of any image are refused before the run */
    /** Called by the thread that trains, once for each block and step (with train.split for the whole batch),
     *  and never outside of training: where blocks are timed to be shared out (parallel.block,
     *  bw_simulation_create()), Barlow Twins stands in for it, and what the rule takes is not counted.
     *  It fills diff_z and total of `call`. Another status than BW_OK ends the step, and the run with it; the
     *  rule says why with bw_error_set(), and the library adds step, block and name. BW_EINTERRUPTED and
     *  BW_EEXIST, which mean other things to callers, and numbers that are no status become BW_EINVAL.
     *
     *  Over several ranks L is one loss of all N images, and diff_z its exact gradient for this rank's rows:
     *  gradients of parameters are summed then. What the formula sums over images goes through bw_rule_sum()
     *  before anything that is not linear in it; rows of other ranks come with bw_rule_gather(). Every rank
     *  makes the same calls of these two in the same order, whatever its values are. One that fails before
     *  them leaves the others waiting, as any failure inside of a step (bw_comm_all_failed()). */
    bw_status (*run)(void *user, bw_rule_call *call);
    /** Bytes of `scratch` that `run` wants; NULL: none. Asked when memory is planned, also for batches that
     *  are never trained: a function of n, all, dim, ranks and threads of `sizes`, whose pointers are NULL.
     */
    int64_t (*scratch_bytes)(void *user, const bw_rule_call *sizes);
    void *user; /**< given to both; must live as long as trainers use the rule */
} bw_rule;

/** Makes a rule known to this process by its name. A name given again stands for the newer rule in trainers
 *  that are created from then on. Thread-safe.
 *  @param rule copied with its texts
 *  @return BW_OK; BW_EINVAL: a name or term that cannot be one, `run` missing, or BW_MAX_RULES there */
BW_API BW_MUST_CHECK
bw_status bw_rule_register(const bw_rule *rule);

/** Sums over the ranks that share the batch, for a rule in its call; alone nothing is done.
 *  @param call   the one the rule was given
 *  @param values [n] summed in place: every rank then has the same
 *  @param n      how many, on every rank as many
 *  @return BW_OK; BW_EREMOTE: MPI failed, and the rule returns; BW_EINVAL: not in a call of `run` */
BW_API BW_MUST_CHECK
bw_status bw_rule_sum(bw_rule_call *call, double *values, int64_t n);

/** Brings the values of all ranks that share the batch together, for a rule in its call.
 *  @param call the one the rule was given
 *  @param all  [ranks, n] in the order of ranks; may not overlap `own`
 *  @param own  [n] of this rank
 *  @param n    how many, on every rank as many
 *  @return as bw_rule_sum() */
BW_API BW_MUST_CHECK
bw_status bw_rule_gather(bw_rule_call *call, float *all, const float *own, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
