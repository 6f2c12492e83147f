#include "formats/config_schema.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Order as in the enums of config.h. Only what exists is listed. */
static const char *const DTYPES[] = { "f32", "bf16", "auto", NULL };
static const char *const ARCHS[] = { "resnet18", "resnet34", "resnet50", "resnet101", NULL };
static const char *const STEMS[] = { "imagenet", "cifar", NULL };
static const char *const CUTS[] = { "stages", "units", NULL };
static const char *const BLOCKS[] = { "all", NULL };
static const char *const POOLS[] = { "gsp", "cbe", "lsp", NULL };
#define LOSS_WORD(end, word, name) word,
static const char *const LOSSES[] = { BW_LOSS_LIST(LOSS_WORD) "custom", NULL };
static const char *const NOISES[] = { "none", "all", "hw", "c", NULL };
static const char *const ORDERS[] = { "simultaneous", "end-to-end", "sequential", NULL };
static const char *const OPTIMIZERS[] = { "lars", "sgd", "adamw", NULL };
static const char *const SCHEDULES[] = { "cosine", "step", "constant", NULL };
static const int64_t FILTERS[] = { 1, 3, 0 };
static const char *const INTERPOLATIONS[] = { "bicubic", "bilinear", NULL };

#define AT(member)      .offset = offsetof(bw_config, member)
#define RANGE(lo, hi)   .low = (lo), .high = (hi)
#define AUTO(value)     .auto_word = "auto", .auto_value = (value)
#define WORDS(list)     .type = BW_KEY_ENUM, .names = (list)
#define LIST(n)         .type = BW_KEY_REAL, .count = (n)
#define INTS(lo, hi)    .type = BW_KEY_INTS, .least = (lo), .most = (hi)
#define MOST_STEPS      1e12
#define MOST_IMAGES     1e12
#define MOST_PROCESSORS 4096
#define MOST_RANKS      65536

/* One view's augmentation; the defaults that differ between the views are arguments. */
#define VIEW_KEYS(prefix, v, blur_prob_, solarize_prob_)                                                     \
    { .name = prefix "crop_scale",                                                                           \
      AT(augment.view[v].crop_scale),                                                                        \
      LIST(2),                                                                                               \
      RANGE(1e-4, 1),                                                                                        \
      .ascending = true,                                                                                     \
      .default_text = "[0.08, 1]",                                                                           \
      .help = "share of the image's area that is cropped, drawn uniformly" },                                \
        { .name = prefix "crop_ratio",                                                                       \
          AT(augment.view[v].crop_ratio),                                                                    \
          LIST(2),                                                                                           \
          RANGE(0.01, 100),                                                                                  \
          .ascending = true,                                                                                 \
          .default_text = "[0.75, 1.3333333333333333]",                                                      \
          .help = "width / height of the crop, drawn uniformly in its logarithm" },                          \
        { .name = prefix "interpolation",                                                                    \
          AT(augment.view[v].interpolation),                                                                 \
          WORDS(INTERPOLATIONS),                                                                             \
          .default_text = "bicubic",                                                                         \
          .help = "how the crop is resized" },                                                               \
        { .name = prefix "flip_prob",                                                                        \
          AT(augment.view[v].flip_prob),                                                                     \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 1),                                                                                       \
          .default_text = "0.5",                                                                             \
          .help = "chance of a mirror image, left and right" },                                              \
        { .name = prefix "jitter_prob",                                                                      \
          AT(augment.view[v].jitter_prob),                                                                   \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 1),                                                                                       \
          .default_text = "0.8",                                                                             \
          .help = "chance of colour jitter, its four parts in random order" },                               \
        { .name = prefix "brightness",                                                                       \
          AT(augment.view[v].brightness),                                                                    \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 10),                                                                                      \
          .default_text = "0.4",                                                                             \
          .help = "strength of brightness jitter" },                                                         \
        { .name = prefix "contrast",                                                                         \
          AT(augment.view[v].contrast),                                                                      \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 10),                                                                                      \
          .default_text = "0.4",                                                                             \
          .help = "strength of contrast jitter" },                                                           \
        { .name = prefix "saturation",                                                                       \
          AT(augment.view[v].saturation),                                                                    \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 10),                                                                                      \
          .default_text = "0.2",                                                                             \
          .help = "strength of saturation jitter" },                                                         \
        { .name = prefix "hue",                                                                              \
          AT(augment.view[v].hue),                                                                           \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 0.5),                                                                                     \
          .default_text = "0.1",                                                                             \
          .help = "strength of hue jitter, in turns" },                                                      \
        { .name = prefix "grey_prob",                                                                        \
          AT(augment.view[v].grey_prob),                                                                     \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 1),                                                                                       \
          .default_text = "0.2",                                                                             \
          .help = "chance of a grey image" },                                                                \
        { .name = prefix "blur_prob",                                                                        \
          AT(augment.view[v].blur_prob),                                                                     \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 1),                                                                                       \
          .default_text = blur_prob_,                                                                        \
          .help = "chance of Gaussian blur" },                                                               \
        { .name = prefix "blur_sigma",                                                                       \
          AT(augment.view[v].blur_sigma),                                                                    \
          LIST(2),                                                                                           \
          RANGE(0.01, 100),                                                                                  \
          .ascending = true,                                                                                 \
          .default_text = "[0.1, 2]",                                                                        \
          .help = "standard deviation of the blur in pixels of the view, drawn uniformly" },                 \
        { .name = prefix "solarize_prob",                                                                    \
          AT(augment.view[v].solarize_prob),                                                                 \
          .type = BW_KEY_REAL,                                                                               \
          RANGE(0, 1),                                                                                       \
          .default_text = solarize_prob_,                                                                    \
          .help = "chance of inverting bright values" },                                                     \
    {                                                                                                        \
        .name = prefix "solarize_threshold", AT(augment.view[v].solarize_threshold), .type = BW_KEY_INT,     \
        RANGE(0, 256), .default_text = "128", .help = "values at or above are inverted, of 255"              \
    }

/* Sources: the paper's training script for the method's own values; the ranges are ours. */
static const bw_key KEYS[] = {
    { .name = "seed",
      AT(seed),
      .type = BW_KEY_U64,
      RANGE(0, 0x1p64),
      .default_text = "0",
      .help = "of every random number of the run" },
    { .name = "threads",
      AT(threads),
      .type = BW_KEY_INT,
      RANGE(1, MOST_PROCESSORS),
      AUTO(0),
      .may_differ = true,
      .default_text = "auto",
      .help = "compute threads; auto: all usable cores" },
    { .name = "dtype",
      AT(dtype),
      WORDS(DTYPES),
      .default_text = "f32",
      .help = "stored activations and products; auto: bf16 where the processor computes in it" },

    { .name = "model.arch", AT(model.arch), WORDS(ARCHS), .default_text = "resnet50", .help = "the network" },
    { .name = "model.width",
      AT(model.width),
      .type = BW_KEY_I64,
      RANGE(8, 1024),
      .multiple = 8,
      .note = "the vector kernels take channels by eights",
      .default_text = "64",
      .help = "channels after the stem; every stage scales with it" },
    { .name = "model.stem",
      AT(model.stem),
      WORDS(STEMS),
      .default_text = "imagenet",
      .help = "imagenet: 7x7, stride 2, max pool; cifar: 3x3, stride 1, no pool" },
    { .name = "model.cuts",
      AT(model.cuts),
      INTS(0, BW_MAX_BLOCKS - 1),
      RANGE(1, BW_MAX_BLOCKS - 1),
      .names = CUTS,
      .ascending = true,
      .default_text = "stages",
      .help = "where the trunk is cut into blocks: behind each stage, behind each residual unit, or behind "
              "the units named, counted from 1" },
    { .name = "model.zero_init_residual",
      AT(model.zero_init_residual),
      .type = BW_KEY_BOOL,
      .default_text = "true",
      .help = "last batch norm weight of every residual branch starts at 0" },

    { .name = "head.pool",
      AT(head.pool),
      WORDS(POOLS),
      .default_text = "cbe",
      .help = "cbe: convolution to head.dim channels, then global average; gsp: the average alone, "
              "the default of train.order end-to-end; lsp: averages over a grid of cells, head.dim values in "
              "all" },
    { .name = "head.filter",
      AT(head.filter),
      .type = BW_KEY_INT,
      RANGE(1, 3),
      .choices = FILTERS,
      .default_text = "1",
      .help = "kernel size of the head's convolution" },
    { .name = "head.dim",
      AT(head.dim),
      .type = BW_KEY_I64,
      RANGE(8, 65536),
      .multiple = 8,
      AUTO(0),
      .default_text = "auto",
      .help = "channels of the head's convolution, or with lsp the values of all cells; auto: the last "
              "block's width" },
    { .name = "head.stride",
      AT(head.stride),
      .type = BW_KEY_INT,
      RANGE(1, 8),
      .default_text = "1",
      .help =
          "stride of the head's convolution: above 1 the expansion is made at every so many pixels only" },

    { .name = "projector.widths",
      AT(projector),
      INTS(0, BW_MAX_PROJECTOR),
      RANGE(1, 65536),
      .default_text = "[2048, 2048, 2048]",
      .help = "outputs of each linear layer of the projector; with loss.name cross-entropy hidden layers "
              "before the classifier, none unless given" },

    { .name = "loss.name",
      AT(loss.name),
      WORDS(LOSSES),
      .default_text = "barlow-twins",
      .help = "the loss of every block" },
    { .name = "loss.scale",
      AT(loss.scale),
      .type = BW_KEY_REAL,
      RANGE(1e-9, 1e6),
      AUTO((double)NAN),
      .default_text = "auto",
      .help = "factor on the whole loss; auto: 0.024 with barlow-twins, 1 with the others" },
    { .name = "loss.lambda",
      AT(loss.lambda),
      .type = BW_KEY_REAL,
      RANGE(0, 1000),
      .default_text = "0.0051",
      .help = "barlow-twins: weight of the off-diagonal terms" },
    { .name = "loss.invariance",
      AT(loss.invariance),
      .type = BW_KEY_REAL,
      RANGE(0, 1e6),
      .default_text = "25",
      .help = "vicreg: weight of the distance between the views" },
    { .name = "loss.variance",
      AT(loss.variance),
      .type = BW_KEY_REAL,
      RANGE(0, 1e6),
      .default_text = "25",
      .help = "vicreg: weight of the hinge on each dimension's standard deviation" },
    { .name = "loss.covariance",
      AT(loss.covariance),
      .type = BW_KEY_REAL,
      RANGE(0, 1e6),
      .default_text = "1",
      .help = "vicreg: weight of the covariances" },
    { .name = "loss.temperature",
      AT(loss.temperature),
      .type = BW_KEY_REAL,
      RANGE(1e-3, 1000),
      .default_text = "0.2",
      .help = "simclr: what cosines are divided by" },
    { .name = "loss.classes",
      AT(loss.classes),
      .type = BW_KEY_I64,
      RANGE(2, 1 << 20),
      AUTO(0),
      .default_text = "auto",
      .help = "cross-entropy, custom and online probe: number of classes; auto: those of the data" },
    { .name = "loss.rule",
      AT(loss.rule),
      .type = BW_KEY_WORD,
      .default_text = "none",
      .help = "custom: name of the rule, which a program of one's own registers (docs/api.md)" },

    { .name = "noise.kind",
      AT(noise.kind),
      WORDS(NOISES),
      .default_text = "none",
      .help = "noise on every block's output in training, its size measured over: all, hw (each channel), "
              "c (each position)" },
    { .name = "noise.sigma",
      AT(noise.sigma),
      .type = BW_KEY_REAL,
      RANGE(0, 100),
      .default_text = "0.25",
      .help = "noise in standard deviations of what it is added to" },

    { .name = "train.order",
      AT(train.order),
      WORDS(ORDERS),
      .default_text = "simultaneous",
      .help = "simultaneous: every block its own loss in every step; sequential: one block after the other, "
              "those before it frozen; end-to-end: one loss on the last" },
    { .name = "train.epochs",
      AT(train.epochs),
      .type = BW_KEY_I64,
      RANGE(1, 1e6),
      .default_text = "100",
      .help = "passes over the images; with train.order sequential for every block" },
    { .name = "train.batch",
      AT(train.batch),
      .type = BW_KEY_I64,
      RANGE(2, 1 << 20),
      .default_text = "256",
      .note = "batch statistics need two",
      .help = "images per step, of all ranks together" },
    { .name = "train.steps",
      AT(train.steps),
      .type = BW_KEY_I64,
      RANGE(0, MOST_STEPS),
      AUTO(-1),
      .default_text = "auto",
      .help = "ends the run early; auto: as the epochs say; 0: write initial weights and stop" },
    { .name = "train.blocks",
      AT(train.blocks),
      INTS(1, BW_MAX_BLOCKS),
      RANGE(1, BW_MAX_BLOCKS),
      .names = BLOCKS,
      .ascending = true,
      .default_text = "all",
      .help = "blocks that are trained, counted from 1; the others keep the weights they begin with" },
    { .name = "train.init_blocks",
      AT(train.init_blocks),
      INTS(1, BW_MAX_BLOCKS),
      RANGE(1, BW_MAX_BLOCKS),
      .names = BLOCKS,
      .ascending = true,
      .default_text = "all",
      .help = "blocks that take the weights of --init, counted from 1; the others begin afresh" },
    { .name = "train.split",
      AT(train.split),
      .type = BW_KEY_I64,
      RANGE(1, 1 << 20),
      .default_text = "1",
      .help = "parts in which a batch goes through the network: memory of one part, the loss of the whole "
              "batch, batch norm over each part" },
    { .name = "train.recompute",
      AT(train.recompute),
      .type = BW_KEY_BOOL,
      .default_text = "false",
      .help = "save only every second unit's output and compute the rest again: less memory, the same "
              "bits, more time" },

    { .name = "optimizer.name",
      AT(optimizer.name),
      WORDS(OPTIMIZERS),
      .default_text = "lars",
      .help = "how weights are updated" },
    { .name = "optimizer.lr",
      AT(optimizer.lr),
      .type = BW_KEY_REAL,
      RANGE(0, 1000),
      AUTO((double)NAN),
      .default_text = "auto",
      .help = "base learning rate, times batch / 256; auto for lars: 0.7 up to batch 128, 0.4 at 256, 0.3 at "
              "512, 0.25 at 1024, 0.2 from 2048 on, between them linear in log(batch); auto for sgd: 0.05, "
              "for adamw: "
              "0.001" },
    { .name = "optimizer.momentum",
      AT(optimizer.momentum),
      .type = BW_KEY_REAL,
      RANGE(0, 0.99999),
      .default_text = "0.9",
      .help = "share of the last update that is kept" },
    { .name = "optimizer.weight_decay",
      AT(optimizer.weight_decay),
      .type = BW_KEY_REAL,
      RANGE(0, 1),
      .default_text = "1.0e-06",
      .help = "pull of weights towards 0" },
    { .name = "optimizer.eta",
      AT(optimizer.eta),
      .type = BW_KEY_REAL,
      RANGE(1e-9, 1000),
      .default_text = "0.001",
      .help = "trust coefficient of lars" },
    { .name = "optimizer.warmup_epochs",
      AT(optimizer.warmup_epochs),
      .type = BW_KEY_REAL,
      RANGE(0, 1e6),
      .default_text = "10",
      .help = "linear rise of the rate; at most a tenth of the run is used" },
    { .name = "optimizer.clip_lr",
      AT(optimizer.clip_lr),
      .type = BW_KEY_BOOL,
      .default_text = "false",
      .help = "lars: never let the rate of a tensor go above the learning rate itself" },
    { .name = "optimizer.beta2",
      AT(optimizer.beta2),
      .type = BW_KEY_REAL,
      RANGE(0, 0.9999999),
      .default_text = "0.999",
      .help = "adamw: share of the mean square that is kept; its beta1 is momentum" },
    { .name = "optimizer.eps",
      AT(optimizer.eps),
      .type = BW_KEY_REAL,
      RANGE(1e-30, 1),
      .default_text = "1.0e-08",
      .help = "adamw: added to the root of the mean square" },
    { .name = "optimizer.schedule",
      AT(optimizer.schedule),
      WORDS(SCHEDULES),
      .default_text = "cosine",
      .help = "how the learning rate falls after the warm-up" },
    { .name = "optimizer.decay_at",
      AT(optimizer.decay),
      .type = BW_KEY_REALS,
      .least = 1,
      .most = BW_MAX_DECAYS,
      RANGE(0, 1),
      .ascending = true,
      .default_text = "[0.6, 0.8]",
      .help = "schedule step: after which shares of the run the rate falls" },
    { .name = "optimizer.decay_factor",
      AT(optimizer.decay_factor),
      .type = BW_KEY_REAL,
      RANGE(0, 1),
      .default_text = "0.1",
      .help = "schedule step: what the rate is multiplied by at each fall" },
    { .name = "optimizer.final_lr",
      AT(optimizer.final_lr),
      .type = BW_KEY_REAL,
      RANGE(0, 1),
      .default_text = "0.001",
      .help = "share of the base rate left at the end of the cosine" },

    VIEW_KEYS("augment.view1.", 0, "1", "0"),
    VIEW_KEYS("augment.view2.", 1, "0.1", "0.2"),
    { .name = "augment.mean",
      AT(augment.mean),
      LIST(3),
      RANGE(0, 1),
      .default_text = "[0.485, 0.456, 0.406]",
      .help = "of red, green and blue in [0, 1], subtracted; these are ImageNet's" },
    { .name = "augment.std",
      AT(augment.std),
      LIST(3),
      RANGE(1e-3, 100),
      .default_text = "[0.229, 0.224, 0.225]",
      .help = "what is divided by then" },

    { .name = "data.image_size",
      AT(data.image_size),
      .type = BW_KEY_I64,
      RANGE(8, 4096),
      AUTO(0),
      .default_text = "auto",
      .help = "side of a view in pixels; auto: 224, or 32 with model.stem cifar" },
    { .name = "data.max_bad",
      AT(data.max_bad),
      .type = BW_KEY_REAL,
      RANGE(0, 1),
      .default_text = "0.01",
      .help = "share of images that may be unreadable" },
    { .name = "data.threads",
      AT(data.threads),
      .type = BW_KEY_INT,
      RANGE(1, MOST_PROCESSORS),
      AUTO(0),
      .may_differ = true,
      .default_text = "auto",
      .help = "threads that load images; auto: as many as threads" },
    { .name = "data.images",
      AT(data.images),
      .type = BW_KEY_I64,
      RANGE(0, MOST_IMAGES),
      .default_text = "0",
      .help = "use only so many images, chosen by the seed; 0: all" },

    { .name = "checkpoint.every",
      AT(checkpoint.every),
      .type = BW_KEY_I64,
      RANGE(0, MOST_STEPS),
      .may_differ = true,
      .default_text = "0",
      .help = "steps between checkpoints; 0: one epoch" },
    { .name = "checkpoint.keep",
      AT(checkpoint.keep),
      .type = BW_KEY_INT,
      RANGE(1, 1000),
      .may_differ = true,
      .default_text = "2",
      .help = "checkpoints that are kept" },

    { .name = "parallel.data",
      AT(parallel.data),
      .type = BW_KEY_INT,
      RANGE(1, MOST_RANKS),
      AUTO(0),
      .may_differ = true,
      .default_text = "auto",
      .help = "ranks that share every batch; auto: as many as there are for each share of the blocks" },
    { .name = "parallel.block",
      AT(parallel.block),
      .type = BW_KEY_INT,
      RANGE(1, BW_MAX_BLOCKS),
      .may_differ = true,
      .default_text = "1",
      .help = "shares of the blocks, each trained by ranks of its own" },

    { .name = "probe.every",
      AT(probe.every),
      .type = BW_KEY_I64,
      RANGE(0, 1e6),
      .default_text = "0",
      .help = "epochs between scores of a linear classifier that learns beside every block from its detached "
              "features; 0: none" },
    { .name = "health.every",
      AT(health.every),
      .type = BW_KEY_I64,
      RANGE(1, MOST_STEPS),
      .default_text = "100",
      .help = "steps between measures of the embeddings' health" },

    { .name = "events.every",
      AT(events.every),
      .type = BW_KEY_I64,
      RANGE(0, MOST_STEPS),
      AUTO(-1),
      .may_differ = true,
      .default_text = "auto",
      .help =
          "steps between points in the event files for TensorBoard; auto: every step, or fewer where that "
          "would be more than 10000; 0: no event files" },
    { .name = "events.images",
      AT(events.images),
      .type = BW_KEY_INT,
      RANGE(0, 64),
      .may_differ = true,
      .default_text = "8",
      .help = "images whose views are shown in TensorBoard, about ten times in a run; 0: none" },
};

_Static_assert(sizeof KEYS / sizeof *KEYS <= sizeof((bw_config *)0)->is_set * 8, "is_set has a bit per key");

int bw__keys(void)
{
    return (int)(sizeof KEYS / sizeof *KEYS);
}

const bw_key *bw__key(int index)
{
    return &KEYS[index];
}

int bw__key_find(const char *name)
{
    for (int i = 0; i < bw__keys(); i++)
        if (strcmp(KEYS[i].name, name) == 0) return i;
    return -1;
}
