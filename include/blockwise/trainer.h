/** Training: one step at a time, or a whole run with its folder. */
#ifndef BLOCKWISE_TRAINER_H
#define BLOCKWISE_TRAINER_H
#include "blockwise/comm.h"
#include "blockwise/dataset.h"
#include "blockwise/network.h"
#ifdef __cplusplus
extern "C" {
#endif

#define BW_MAX_TERMS 16 /**< different terms of the losses of all blocks together */

/** What one step did. Arrays have `blocks` entries; NaN stands for what a block does not have: a block that
 *  was not trained in this step, a term of another loss. */
typedef struct bw_step {
    int64_t step;  /**< steps done, this one included */
    int64_t epoch; /**< of this step, from 0 */
    int blocks;
    double lr; /**< of the first block that learns in this step */
    double loss[BW_MAX_BLOCKS];
    int terms;                                /**< those of the losses of all blocks, each name once */
    const char *term_name[BW_MAX_TERMS];      /**< "on_diag", "off_diag"; borrowed, valid for ever */
    double term[BW_MAX_TERMS][BW_MAX_BLOCKS]; /**< unweighted and unscaled */
    double grad_norm[BW_MAX_BLOCKS];
    /** Health, of the state before this step's update (docs/health.md): every health.every steps, at the
     *  first step and at the last. */
    bool has_health;
    double embedding_std[BW_MAX_BLOCKS];  /**< mean std over the batch of L2-normalised z, times sqrt(D) */
    double effective_rank[BW_MAX_BLOCKS]; /**< RankMe of z */
    double effective_rank_max[BW_MAX_BLOCKS]; /**< the most it can be: the smaller of images and D */
    double dead_channels[BW_MAX_BLOCKS]; /**< share of the output's channels that are 0 in both views; with
                                            train.split of the last part */
    /** Online probe (probe.every), per cent: of this step's labelled images in both views; and of test
     *  images in evaluation mode after this step, every probe.every epochs and at the end. */
    bool has_probe, has_probe_test;
    double probe_top1_train[BW_MAX_BLOCKS], probe_top1[BW_MAX_BLOCKS];
    double samples_per_s; /**< a sample is one image, both its views */
    double peak_rss_mb;
} bw_step;

/** Signals: handlers of a program that trains or extracts features need SA_ONSTACK and sigaltstack() in the
 *  calling thread, because kernels of oneDNN use part of the heap as their stack for a while, where a handler
 *  would overwrite other data. Threads that the library starts take no signals. */
typedef struct bw_trainer bw_trainer;

/** Plans the memory of a step and takes it; from then on steps take none.
 *  @param out             the caller owns it, bw_trainer_free()
 *  @param network         borrowed, trained in place, must outlive the trainer
 *  @param steps_per_epoch for the schedule; >= 1. A run ends after INT64_MAX steps, whatever the epochs say
 *  @return BW_OK; BW_EINVAL (config not resolved), BW_EKERNEL, BW_ENOMEM, also where a tensor would be larger
 *          than the compute library can count (64 GB) */
BW_API BW_MUST_CHECK
bw_status bw_trainer_create(bw_trainer **out, bw_network *network, int64_t steps_per_epoch);
BW_API void bw_trainer_free(bw_trainer *trainer);

/** One optimiser step of every block that learns now (train.order, train.blocks) on views [2, batch, S, S,
 * 3], f32, normalised (NHWC). labels [batch]: classes from 0, or -1; may be NULL where no loss needs them and
 * there is no online probe. A step beyond bw_trainer_steps_total() is done with the rates at the schedules'
 * ends.
 *  @return BW_OK; BW_ENONFINITE naming block and step, with every block before it already updated
 *          (none with train.split);
 *          BW_EDATA (a label is not in [0, loss.classes)), BW_EINVAL (no labels, and a loss needs them);
 *          BW_EKERNEL */
BW_API BW_MUST_CHECK
bw_status bw_trainer_step(bw_trainer *trainer, bw_step *out, const float *views, const int *labels);

/** Steps done so far, and the number of steps of the whole run. */
BW_API int64_t bw_trainer_steps_done(const bw_trainer *trainer);
BW_API int64_t bw_trainer_steps_total(const bw_trainer *trainer);

/** Floating point operations of one step: convolutions and matrix products, forward and backward, a
 *  multiply-add counted as two. Of the average step of the run where they differ (train.order sequential). */
BW_API int64_t bw_trainer_flops(const bw_trainer *trainer);
/** Bytes of activations, gradients of activations and scratch that a step needs at most: the arena's size. */
BW_API int64_t bw_trainer_arena_bytes(const bw_trainer *trainer);

/** Times the matrix product [m, k] x [k, n] of the compute library: the best rate of `repeats` runs, GFLOP/s.
 *  @param gflops  the result
 *  @param dtype   of both factors; anything but BW_DTYPE_BF16 is f32
 *  @param m,n,k   sizes, each >= 1
 *  @param repeats runs, >= 1
 *  @param threads >= 1
 *  @return BW_OK; BW_EINVAL; BW_EKERNEL (no bf16 on this processor); BW_ENOMEM, also for sizes that the
 * library cannot count: 2^31, or a matrix of 2^34 elements */
BW_API BW_MUST_CHECK
bw_status bw_bench_matmul(double *gflops, bw_dtype dtype, int64_t m, int64_t n, int64_t k, int repeats,
                          int threads);

/** Makes dtype auto bf16 where this processor has arithmetic for it, and f32 elsewhere. bw_trainer_create()
 * and bw_pretrain() begin with it.
 *  @return BW_OK; BW_EINVAL naming the instruction set: dtype is bf16, which the compute library does not do
 * on this processor */
BW_API BW_MUST_CHECK
bw_status bw_compute_settle(bw_config *config);

/** Instruction set the compute library uses here ("AVX2"), and its name and version ("oneDNN 2.6.3").
 * Borrowed. */
BW_API const char *bw_compute_isa(void);
BW_API const char *bw_compute_library(void);

/** What a run is asked to do between steps. */
typedef enum bw_request { BW_GO_ON, BW_SAVE_AND_GO_ON, BW_SAVE_AND_STOP } bw_request;

/** A whole pretraining run with its folder. Strings are borrowed for the call. */
typedef struct bw_pretrain_options {
    bw_comm *comm; /**< ranks that train together, each calling bw_pretrain(); NULL: alone */
    /** Resolved or not; with ranks, that of rank 0 is the run's. `threads` and `data.threads` that no load
     * and no bw_config_set() gave are each rank's own. */
    const bw_config *config;
    const char *data;    /**< where the images are, on every rank; the training split is used. Or `dataset` */
    const char *format;  /**< NULL: found out by looking */
    const char *out;     /**< run folder; of ranks that of rank 0, which alone sees it */
    bool resume;         /**< these three: of rank 0 */
    const char *init;    /**< weights to start from, or NULL */
    const char *command; /**< for environment.json, or NULL */
    void *user;
    /** Called once before the first step: total steps, first step (> 0 after a resume). May be NULL; this,
     *  on_step and on_data on rank 0 alone. */
    void (*on_start)(void *user, int64_t total_steps, int64_t first_step, int64_t images);
    void (*on_step)(void *user, const bw_step *step); /**< may be NULL */
    bw_request (*request)(void *user); /**< asked after every step, on every rank: the most that any of them
                                            answers is done by all; may be NULL */
    /** Images in place of `data`, borrowed; each rank its own data set, of the same images. */
    const bw_dataset *dataset;
    /** Test images for the online probe (probe.every) in place of those of `data`, borrowed, with the classes
     *  of the training images. NULL with `dataset`: no probe_top1. */
    const bw_dataset *test;
    /** Called once before on_start, on rank 0 alone, with the training images, those of `data` too: for what
     *  is to be said of them, by functions that only ask a data set. Borrowed for the call. May be NULL. */
    void (*on_data)(void *user, const bw_dataset *images);
    /** Called on a rank that has to give up alone (bw_comm_all_failed() is false), on any rank, before it
     * takes leave of the others, which are perhaps at work and keep it waiting for some seconds: the place
     * for a program to say why (bw_last_error()) and to call bw_comm_abort(). bw_pretrain() returns `status`
     * if this returns. May be NULL. */
    void (*on_failure)(void *user, bw_status status);
} bw_pretrain_options;

/** Runs until the end, a request to stop, or a failure. Of several ranks the lowest that failed (of a request
 * to stop, rank 0) returns why, and the others BW_EREMOTE; see bw_comm_all_failed().
 *  @return BW_OK; BW_EEXIST (folder exists, no resume); BW_EINVAL; BW_EDATA; BW_EIO; BW_ENONFINITE (the last
 *          good checkpoint is kept); BW_EINTERRUPTED (a checkpoint was written); BW_ENOMEM; BW_EKERNEL;
 *          BW_EREMOTE */
BW_API BW_MUST_CHECK
bw_status bw_pretrain(const bw_pretrain_options *options);

/** What became of a block, by its metrics; docs/health.md has the rules. */
typedef enum bw_verdict_word {
    BW_VERDICT_NOT_TRAINED,
    BW_VERDICT_TOO_SHORT, /**< too few steps to say */
    BW_VERDICT_LEARNT,
    BW_VERDICT_WEAK,         /**< the loss fell a little, or most channels are dead */
    BW_VERDICT_COLLAPSED,    /**< all embeddings are nearly the same */
    BW_VERDICT_DID_NOT_LEARN /**< the loss did not fall */
} bw_verdict_word;

/** The word for users, such as "did not learn"; "unknown verdict" for a value that is none. Borrowed. */
BW_API const char *bw_verdict_text(bw_verdict_word word);

/** Numbers are NaN where there are none; pairs are of the start (random initialisation) and of the end. */
typedef struct bw_block_verdict {
    bw_verdict_word word;
    char reason[160];                     /**< the numbers behind it; "" where nothing is wrong */
    char advice[224];                     /**< what to try; "" where there is nothing to mend */
    int64_t steps;                        /**< in which the block was trained */
    double loss[2];                       /**< means over the first and the last few steps */
    double term[BW_MAX_TERMS], grad_norm; /**< of the last step */
    double embedding_std[2], effective_rank[2], effective_rank_max, dead_channels[2];
    double probe_top1; /**< the newest on test images */
} bw_block_verdict;

/** What bw_verdict_read() found in a run, block by block. */
typedef struct bw_verdict {
    int64_t steps; /**< of the run so far */
    int blocks;    /**< 0 before the first step */
    int terms;
    char term_name[BW_MAX_TERMS][24];
    bw_block_verdict block[BW_MAX_BLOCKS];
} bw_verdict;

/** Judges every block of the run folder `run`, finished or not, by its metrics.jsonl alone.
 *  @return BW_OK; BW_EDATA (no such file, a line that is not of it); BW_EIO; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_verdict_read(bw_verdict *out, const char *run);

/** Of bw_finetune(); begin with bw_finetune_options_default(). */
typedef struct bw_finetune_options {
    double label_fraction;  /**< share of each class's training images, in (0, 1]; not used with a list */
    const char *label_list; /**< file that names the training images, one a line, or NULL */
    const char *write_list; /**< where to write such a file of the images used, or NULL */
    bool head;              /**< the classifier sits on the last block's head, not on its trunk's output */
    int epochs;             /**< 20 */
    int64_t batch;          /**< 0: 256, or less where that would be fewer than 16 steps an epoch */
    double lr_trunk, lr_classifier; /**< 0.002 and 0.5, at any batch size */
    double weight_decay;
    int64_t max_test_images; /**< of a permutation keyed by the seed; 0: all */
    uint64_t seed;
    int threads; /**< 0: all usable cores */
} bw_finetune_options;

/** What bw_finetune() found. */
typedef struct bw_finetune_result {
    double label_fraction; /**< images over the labelled ones there are, where a list was given */
    int64_t images;        /**< with labels, that were trained on */
    int64_t batch, steps;
    int epochs;
    double loss;        /**< of the last step */
    double top1, top5;  /**< per cent of the test split, after the last epoch */
    char protocol[512]; /**< one line with everything needed to quote the number */
} bw_finetune_result;

/** What the authors of Barlow Twins use for 1 % of the labels: 20 epochs, rates 0.002 and 0.5. */
BW_API bw_finetune_options bw_finetune_options_default(void);

/** Semi-supervised evaluation: a copy of `network` with a linear classifier behind its last block is trained
 *  end to end on a part of the labels, two random crops (with flips) of every image a step, cross-entropy,
 *  SGD with momentum 0.9, rates that fall to 0 by half a cosine; then scored on the test split by the
 * evaluation transform. Neither `network` nor its files change. Same arguments, same threads, same result.
 *  @return BW_OK; BW_EDATA (no labels, different classes in the two splits, a list that does not fit,
 * unreadable images); BW_EINVAL (a number out of range, the head of a network without heads); BW_EIO (the
 * list cannot be written); BW_EINTERRUPTED; BW_ENONFINITE; BW_ENOMEM; BW_EKERNEL */
BW_API BW_MUST_CHECK
bw_status bw_finetune(bw_finetune_result *out, const bw_network *network, const bw_dataset *train,
                      const bw_dataset *test, const bw_finetune_options *options, bw_progress_fn progress,
                      void *user);

#ifdef __cplusplus
}
#endif
#endif
