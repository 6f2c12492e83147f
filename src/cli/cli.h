/* What the verbs share: their options, how they end, what they say while they work. Only this folder
 * prints and exits. */
#ifndef BW_CLI_CLI_H
#define BW_CLI_CLI_H
#include "blockwise/blockwise.h"
#include <stdarg.h>
#include <stdio.h>

enum { CLI_EXIT_FAILURE = 1, CLI_EXIT_USAGE = 2, CLI_EXIT_DATA = 3, CLI_EXIT_DIVERGED = 4 };

/* Every option of every verb. Where one name takes other values in other verbs there are two keys. */
typedef enum cli_key {
    CLI_END = 0,
    CLI_DATA = 256, /* past the short options */
    CLI_SPLIT_DATA,
    CLI_TRAIN_ALIAS,
    CLI_TRAIN,
    CLI_TEST,
    CLI_DATA_FORMAT,
    CLI_RUN_OUT,
    CLI_RECIPE,
    CLI_CONFIG,
    CLI_SET,
    CLI_RESUME,
    CLI_INIT,
    CLI_BLOCK,
    CLI_ONE_BLOCK,
    CLI_CONCAT,
    CLI_FEATURE,
    CLI_ONE_FEATURE,
    CLI_PROTOCOL,
    CLI_EPOCHS,
    CLI_IMAGES,
    CLI_SEED,
    CLI_THREADS,
    CLI_RAW,
    CLI_K,
    CLI_TEMPERATURE,
    CLI_FEATURES_OUT,
    CLI_LABELS,
    CLI_SAVE,
    CLI_PROBE,
    CLI_NAMES,
    CLI_SPLIT,
    CLI_BENCH_DATA,
    CLI_EXPORT_FORMAT,
    CLI_EXPORT_OUT,
    CLI_EXPORT_FEATURE,
    CLI_STEPS,
    CLI_WARMUP,
    CLI_PROFILE,
    CLI_TRACE,
    CLI_COUNT_STEP,
    CLI_STEP_DATA,
    CLI_PLAN_DATA,
    CLI_PLAN_IMAGES,
    CLI_NODES,
    CLI_NETWORK,
    CLI_PRICE,
    CLI_GFLOPS,
    CLI_FINETUNE_EPOCHS,
    CLI_LABEL_FRACTION,
    CLI_LABEL_LIST,
    CLI_WRITE_LIST,
    CLI_BATCH,
    CLI_LR_TRUNK,
    CLI_LR_CLASSIFIER,
    CLI_WEIGHT_DECAY,
    CLI_SOME_BLOCKS,
    CLI_CORRUPTED,
    CLI_CORRUPTIONS,
    CLI_BASELINE,
    CLI_TEST_IMAGES,
    CLI_SHARDS_OUT,
    CLI_SHARD_SIZE,
    CLI_SHARD_IMAGES,
    CLI_PACK_SPLIT,
    CLI_RANKS,
    CLI_REPORT_OUT,
    CLI_REPORT_DATA,
    CLI_REPORT_IMAGES,
    CLI_TITLE,
    CLI_WATCH,
    CLI_PORT,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE
} cli_key;

#define CLI_MAX_ARGUMENTS 16
#define CLI_MAX_K         8

typedef enum cli_feature {
    CLI_FEATURE_DEFAULT,
    CLI_FEATURE_HEAD,
    CLI_FEATURE_TRUNK,
    CLI_FEATURE_BOTH
} cli_feature;

/* What the command line said. Strings are borrowed from argv, NULL where not given. */
typedef struct cli_options {
    int n_arguments;
    const char *arguments[CLI_MAX_ARGUMENTS];
    const char *data, *train, *test, *format, *out, *labels, *names, *save, *probe;
    const char *recipe, *config, *init;
    const char *corrupted, *corruptions, *baseline;
    const char *label_list, *write_list, *title;
    double label_fraction, lr_trunk, lr_classifier; /* 0: not given */
    double weight_decay;
    int64_t batch; /* 0: not given */
    int n_set;
    const char **set; /* [n_set] assignments "key=value", in their order */
    int block;        /* from 0; -1: all, or the verb's default */
    bool all_blocks;  /* --block all was said */
    bool concat, raw, resume, ranks, profile, step, watch, json, quiet, verbose;
    cli_feature feature;
    bw_protocol protocol;
    int epochs, threads, steps, warmup; /* 0 (threads, epochs) or -1: not given */
    int64_t images, test_images;        /* 0: not given; -1: none */
    int64_t shard_mb;                   /* 0: not given */
    uint64_t seed;
    int n_k;
    int k[CLI_MAX_K];
    double temperature;
    int nodes; /* 0: not given */
    const char *network, *trace;
    int port;             /* -1: not given */
    double price, gflops; /* 0: not given */
    bw_split split;
    const char *command; /* the whole command line, for the records of a run */
} cli_options;

typedef struct cli_verb {
    const char *name;      /* one or two words: "probe", "data check" */
    const char *arguments; /* of the usage line */
    int min_arguments, max_arguments;
    const char *summary;                       /* one line */
    const char *notes;                         /* shown below the options, or NULL */
    const char *examples;                      /* command lines, one a line, or NULL */
    cli_key options[24];                       /* ends with CLI_END */
    bool interruptible;                        /* asks for signals as it goes; others end at once */
    bool on_ranks;                             /* may be started by mpirun: uses cli_comm() */
    void (*check)(const cli_options *options); /* of the command line, before ranks are joined; or NULL */
    int (*run)(const cli_options *options);
} cli_verb;

extern const cli_verb cli_pretrain, cli_probe, cli_knn, cli_embed, cli_export, cli_inspect, cli_list,
    cli_data_check, cli_data_pack, cli_bench_step, cli_bench_loader, cli_bench_matmul, cli_bench_comm,
    cli_plan, cli_robustness, cli_finetune, cli_selftest, cli_report;

/* Number `index` of the verbs in the order in which help shows them, NULL past the last. */
const cli_verb *cli_verb_at(int index);

typedef struct cli_option {
    cli_key key;
    const char *name;
    const char *value; /* "a|b" where one of these words is meant, else what stands for it, or NULL */
    const char *help;
} cli_option;
const cli_option *cli_option_of(cli_key key);

/* What the program is, and what its exit statuses mean; the last entry has no status. */
#define CLI_ABOUT "Pretrains residual networks block by block from unlabelled images, on CPUs."
typedef struct cli_exit {
    const char *status, *meaning;
} cli_exit;
extern const cli_exit CLI_EXITS[];

/* --complete and --manual of the program; return the exit status. */
int cli_complete(int n, char **words);
int cli_manual(const char *folder, const char *date);

/* The verb that is running, as messages name it. */
void cli_set_verb(const char *name);

/* Parses and, for --help, prints and exits; a wrong command line exits with CLI_EXIT_USAGE. argv[0] is
 * the verb. The caller releases with cli_options_clear(). */
void cli_options_parse(cli_options *options, const cli_verb *verb, int argc, char **argv);
void cli_options_clear(cli_options *options);
void cli_print_help(const cli_verb *verb);

/* Prints "blockwise: VERB: message" on stderr, on one rank, and exits with CLI_EXIT_USAGE. After the ranks
 * have been joined they end by a status instead, which they agree on: the others would wait for one that
 * exits. */
_Noreturn void cli_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints "blockwise: VERB: message" on stderr. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Reports a status of the library on stderr and gives its exit code; 0 for BW_OK. */
int cli_finish(bw_status status);

/* The ranks of the program: joined before a verb that is `on_ranks` runs, left when it is done. */
bw_comm *cli_comm(void);

/* argv as one line that a shell would read back; the caller frees. */
char *cli_command_line(int argc, char **argv);

#endif
