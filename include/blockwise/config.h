/** Settings of a run. The same names stand in YAML files, on the command line (--set) and in
 *  metrics.jsonl; `blockwise list config` prints each with its range, default and meaning. */
#ifndef BLOCKWISE_CONFIG_H
#define BLOCKWISE_CONFIG_H
#include "blockwise/allocator.h"
#include "blockwise/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define BW_MAX_BLOCKS    64 /**< one block per residual unit of ResNet-101 is 33 */
#define BW_MAX_PROJECTOR 8  /**< linear layers of a projector */
#define BW_MAX_DECAYS    8  /**< falls of the learning rate with schedule step */
#define BW_VIEWS         2
#define BW_RULE_NAME     32 /**< bytes of a rule's name with its end */

typedef enum bw_dtype { BW_DTYPE_F32, BW_DTYPE_BF16, BW_DTYPE_AUTO } bw_dtype;
typedef enum bw_arch { BW_ARCH_RESNET18, BW_ARCH_RESNET34, BW_ARCH_RESNET50, BW_ARCH_RESNET101 } bw_arch;
typedef enum bw_stem { BW_STEM_IMAGENET, BW_STEM_CIFAR } bw_stem;
typedef enum bw_pool { BW_POOL_GSP, BW_POOL_CBE, BW_POOL_LSP } bw_pool;
/** Every loss, a line each: the end of its enum's name, its word in settings, its operations in
 *  src/loss/NAME.c. docs/architecture.md shows how one is added. */
#define BW_LOSS_LIST(X)                                                                                      \
    X(BARLOW_TWINS, "barlow-twins", barlow_twins)                                                            \
    X(VICREG, "vicreg", vicreg)                                                                              \
    X(SIMCLR, "simclr", simclr)                                                                              \
    X(CROSS_ENTROPY, "cross-entropy", cross_entropy)

#define BW_LOSS_ENUM_(end, word, ops) BW_LOSS_##end,
typedef enum bw_loss_name {
    BW_LOSS_LIST(BW_LOSS_ENUM_) BW_LOSS_CUSTOM /**< a rule of the program's own (blockwise/rule.h) */
} bw_loss_name;
#undef BW_LOSS_ENUM_
typedef enum bw_noise_kind { BW_NOISE_NONE, BW_NOISE_ALL, BW_NOISE_HW, BW_NOISE_C } bw_noise_kind;
typedef enum bw_order { BW_ORDER_SIMULTANEOUS, BW_ORDER_END_TO_END, BW_ORDER_SEQUENTIAL } bw_order;
typedef enum bw_optimizer_name { BW_OPTIMIZER_LARS, BW_OPTIMIZER_SGD, BW_OPTIMIZER_ADAMW } bw_optimizer_name;
typedef enum bw_schedule_name { BW_SCHEDULE_COSINE, BW_SCHEDULE_STEP, BW_SCHEDULE_CONSTANT } bw_schedule_name;
typedef enum bw_interpolation { BW_INTERPOLATION_BICUBIC, BW_INTERPOLATION_BILINEAR } bw_interpolation;

/** Some numbers, or a word for them: then `n` is the word's negative value and `at` is not used. */
typedef struct bw_int_list {
    int n;
    int64_t at[BW_MAX_BLOCKS];
} bw_int_list;
enum {
    BW_CUTS_STAGES = -1, /**< of bw_model_config.cuts: behind the last unit of each stage */
    BW_CUTS_UNITS = -2,  /**< behind every residual unit */
    BW_BLOCKS_ALL = -1   /**< of lists of blocks */
};

/** The trunk: keys model.*. */
typedef struct bw_model_config {
    bw_arch arch;
    int64_t width; /**< channels of the stem, a multiple of 8; default 64 */
    bw_stem stem;  /**< imagenet: 7x7/2 + max pool; cifar: 3x3/1, no pool */
    bw_int_list
        cuts; /**< where the trunk is cut into blocks: behind which residual units, from 1, ascending */
    bool zero_init_residual; /**< last batch norm weight of every unit starts at 0 */
} bw_model_config;

/** What stands between a block and its projector: keys head.*. */
typedef struct bw_head_config {
    bw_pool pool;
    int filter;  /**< kernel of the expansion: 1 or 3 */
    int64_t dim; /**< width of the expansion (cbe) or of all cells (lsp); 0 before resolving: the last
                    block's width */
    int stride;  /**< of the expansion */
} bw_head_config;

/** Linear layers behind the head: keys projector.*. */
typedef struct bw_projector_config {
    int n; /**< number of linear layers, 1..BW_MAX_PROJECTOR; with cross-entropy those before the
              classifier, from 0 */
    int64_t widths[BW_MAX_PROJECTOR];
} bw_projector_config;

/** Keys loss.*. */
typedef struct bw_loss_config {
    bw_loss_name name;
    double scale;      /**< factor on the whole loss; NaN before resolving: 0.024 with barlow-twins, else 1 */
    double lambda;     /**< barlow-twins: weight of the off-diagonal terms */
    double invariance; /**< vicreg: weights of its three terms */
    double variance, covariance;
    double temperature; /**< simclr */
    int64_t classes;    /**< cross-entropy, custom; 0: those of the data, filled in by whoever has the data */
    char rule[BW_RULE_NAME]; /**< custom: name of the rule */
} bw_loss_config;

/** Noise on the output of a block in training: keys noise.*. */
typedef struct bw_noise_config {
    bw_noise_kind kind;
    double sigma;
} bw_noise_config;

/** Keys optimizer.*. */
typedef struct bw_optimizer_config {
    bw_optimizer_name name;
    double lr; /**< base, times batch / 256; NaN before resolving: by batch size */
    double momentum;
    double weight_decay;
    double eta;        /**< trust coefficient of LARS */
    bool clip_lr;      /**< LARS: a tensor's rate is never above the learning rate */
    double beta2, eps; /**< AdamW; its beta1 is `momentum` */
    bw_schedule_name schedule;
    double warmup_epochs; /**< never more than a tenth of the run is used */
    double final_lr;      /**< share of the base lr at the end of the cosine: 0.001 */
    struct {
        int n;
        double at[BW_MAX_DECAYS]; /**< shares of the run, ascending: where schedule step falls */
    } decay;
    double decay_factor; /**< of every fall */
} bw_optimizer_config;

/** Augmentation of one view. Probabilities in [0, 1]. */
typedef struct bw_view_config {
    double crop_scale[2]; /**< share of the image's area, drawn uniformly */
    double crop_ratio[2]; /**< width / height, drawn uniformly in the logarithm */
    bw_interpolation interpolation;
    double flip_prob;
    double jitter_prob;
    double brightness, contrast, saturation, hue; /**< strengths as torchvision's ColorJitter */
    double grey_prob;
    double blur_prob;
    double blur_sigma[2]; /**< pixels of the output image, drawn uniformly */
    double solarize_prob;
    int solarize_threshold; /**< values at or above are inverted */
} bw_view_config;

/** Augmentation of both views, and what pixels are normalised by: keys augment.*. */
typedef struct bw_augment_config {
    bw_view_config view[BW_VIEWS];
    double mean[3], std[3]; /**< of pixel values in [0, 1], R G B */
} bw_augment_config;

/** What one block uses: the run's settings, or its own (bw_config_block()). */
typedef struct bw_block_config {
    bw_head_config head;
    bw_projector_config projector;
    bw_loss_config loss;
    bw_noise_config noise;
    bw_optimizer_config optimizer;
} bw_block_config;

enum { BW_KEY_WORDS = 4 /**< 64 keys each */ };

/** Everything that defines a run. Edit the fields of a default, or use bw_config_set(). */
typedef struct bw_config {
    uint64_t seed;
    int threads; /**< compute threads; 0 before resolving: all usable cores */
    bw_dtype dtype;
    bw_model_config model;
    /* These five lie as in bw_block_config, so that one distance leads from a key to a block's own. */
    bw_head_config head;
    bw_projector_config projector;
    bw_loss_config loss;
    bw_noise_config noise;
    bw_optimizer_config optimizer;
    struct {
        bw_order order;
        int64_t epochs;     /**< sequential: of every block */
        int64_t batch;      /**< global, images per step */
        int64_t steps;      /**< ends the run early; -1: as the epochs say; 0: write initial weights, stop */
        bw_int_list blocks; /**< which are trained, from 1; the others stay as they begin */
        bw_int_list init_blocks; /**< which take the weights given to start from; the others begin afresh */
        int64_t split;           /**< parts a batch goes through the network in */
        bool recompute;
    } train;
    bw_augment_config augment;
    struct {
        int64_t image_size; /**< pixels; 0 before resolving: 224, or 32 with stem cifar */
        double max_bad;     /**< share of unreadable images that ends the run */
        int threads;        /**< loader threads; 0 before resolving: as many as compute threads */
        int64_t images;     /**< use only the first n of a keyed permutation; 0: all */
    } data;
    struct {
        int64_t every; /**< steps; 0: one epoch */
        int keep;
    } checkpoint;
    struct {
        int data;  /**< ranks that share a batch; 0: all ranks there are, over `block` */
        int block; /**< shares of the blocks, each on ranks of its own */
    } parallel;
    struct {
        int64_t every; /**< epochs between scores of the online probe; 0: none */
    } probe;
    struct {
        int64_t every; /**< steps between measures of the embeddings' health */
    } health;
    struct {
        int64_t every; /**< steps between points in event files of TensorBoard; -1: for the run's length; 0:
                          no such files */
        int images;    /**< whose views are shown there; 0: none */
    } events;
    /** Settings of single blocks, counted from 0 here. Only what was given counts: set them with
     *  bw_config_set("blocks[2].head.pool=lsp"), read them with bw_config_block(). */
    bw_block_config block[BW_MAX_BLOCKS];
    /* Which keys were given, one bit for each by its index in the schema; read with bw_config_is_set(). */
    uint64_t is_set[BW_KEY_WORDS];
    uint64_t is_told[BW_KEY_WORDS]; /* by bw_config_set() */
    uint64_t block_set[BW_MAX_BLOCKS][BW_KEY_WORDS];
} bw_config;

/** The defaults of every key, unresolved (see the fields that say "before resolving"). */
BW_API bw_config bw_config_default(void);

/** Overlays a YAML text: nested maps, dotted keys, or both. The word `auto` stands for the value that
 *  bw_config_resolve() works out (that of dtype: bw_compute_settle(), by the processor); `augment.NAME`
 *  without a view sets both views. `blocks[2].head.pool` is block 2's own head.pool, counted from 1; keys of
 *  the groups head, projector, loss, noise and optimizer have this form. `extends: NAME` at the top begins
 *  with the recipe NAME, or with a file where NAME ends in .yaml: the text's own values win wherever the
 *  line stands. `origin` names the text in messages ("recipe cifar10", "my.yaml").
 *  @return BW_OK; BW_EINVAL for an unknown key (the nearest one is named), a wrong type or a value
 *          out of range, with origin and line; `config` is unchanged then. BW_ENOMEM. */
BW_API BW_MUST_CHECK
bw_status bw_config_load(bw_config *config, const char *yaml, size_t length, const char *origin);

/** Overlays the YAML file at `path`, relative to whose folder it may extend others. As bw_config_load(), and
 *  BW_EIO where it cannot be read. */
BW_API BW_MUST_CHECK
bw_status bw_config_load_file(bw_config *config, const char *path);

/** Overlays the recipe `name`: NAME.yaml in $BLOCKWISE_RECIPES or in share/blockwise/recipes of the
 *  installation, which is found from where the library lies (a program that links it statically and lies
 *  elsewhere uses the prefix it was configured for); the first found. As bw_config_load(); BW_EINVAL names
 * the recipes there are. */
BW_API BW_MUST_CHECK
bw_status bw_config_load_recipe(bw_config *config, const char *name);

/** A recipe that bw_config_load_recipe() finds. */
typedef struct bw_recipe {
    char name[64], help[160]; /**< help: the first comment line of the file */
} bw_recipe;

/** Fills `recipe` with number `index` in alphabetical order; false past the last. */
BW_API bool bw_recipe_at(bw_recipe *recipe, int index);

/** One assignment "key=value", the value in YAML: "projector.widths=[128,128,128]". */
BW_API BW_MUST_CHECK
bw_status bw_config_set(bw_config *config, const char *assignment);

/** True if `key` was given by a load or set (`augment.NAME`: for both views), other than as `auto`.
 * `blocks[k].KEY` is given also where bw_config_resolve() found that block k needs a value other than the
 * run's. */
BW_API bool bw_config_is_set(const bw_config *config, const char *key);

/** Fills in every value that depends on others and refuses values out of range and combinations that make
 *  no sense (BW_EINVAL, with the reason; `config` is unchanged then). Idempotent. With train.order
 *  end-to-end, head.pool becomes gsp and noise.kind none unless they were given by a load or
 *  bw_config_set(). With head.pool gsp, which has no convolution, head.dim is not used. A block that names
 *  another optimiser or loss than the run takes the default optimizer.lr, loss.scale and projector that go
 *  with it unless it gives its own.
 *
 *  A key that nothing in the run uses (loss.temperature without simclr) is refused where bw_config_set() gave
 *  it another value than the default; from files, which may extend others, it is taken and has no effect. */
BW_API BW_MUST_CHECK
bw_status bw_config_resolve(bw_config *config);

/** The whole configuration as YAML: every key, then those of single blocks that were given.
 *  @param out    the caller releases it with bw_free()
 *  @param config resolved or not
 *  @return BW_OK; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_config_to_yaml(char **out, const bw_config *config);

/** BW_OK if `b` can continue a run of `a`; otherwise BW_EINVAL naming the first key that differs and
 *  both values. Keys threads, data.threads, parallel.*, checkpoint.* and events.* may differ. Both resolved.
 */
BW_API BW_MUST_CHECK
bw_status bw_config_same_run(const bw_config *a, const bw_config *b);

/** Settings of block `k`, counted from 0: the run's, with the block's own in their place; the run's alone for
 * a `k` that is none of 0 .. BW_MAX_BLOCKS - 1. */
BW_API bw_block_config bw_config_block(const bw_config *config, int k);

/** One key of the schema, for --help, `list config` and documentation. Borrowed strings. */
typedef struct bw_config_key {
    const char *name, *type, *help;
    char range[256], default_text[64];
    char used_with[96]; /**< what the key counts with, "loss.name simclr"; "": with everything */
} bw_config_key;

/** Fills `key` with number `index` of the schema; false past the last. */
BW_API bool bw_config_key_at(bw_config_key *key, int index);

#ifdef __cplusplus
}
#endif
#endif
