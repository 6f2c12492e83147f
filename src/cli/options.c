/* The command line of every verb: one table of options, parsed by argp. */
#include "base/nearest.h"
#include "cli/cli.h"
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option TABLE[] = {
    { CLI_DATA, "data", "PATH",
      "Images: a folder of class folders, a folder without labels, IDX, CIFAR or STL-10 files, a list of "
      "images, or .tar shards (required)" },
    { CLI_SPLIT_DATA, "data", "PATH",
      "Images with labels and a test split; formats as 'blockwise list formats' says (required, but for "
      "--train "
      "and --test)" },
    { CLI_TRAIN_ALIAS, "train", "PATH", "The same as --data" },
    { CLI_TRAIN, "train", "PATH",
      "Training images, apart from --test (default: the training split of --data)" },
    { CLI_TEST, "test", "PATH", "Test images (default: the test split of --data)" },
    { CLI_DATA_FORMAT, "format", "NAME",
      "Format of the images, see 'blockwise list formats' (default: found by looking)" },
    { CLI_RUN_OUT, "out", "RUN", "Run folder to create (required)" },
    { CLI_RECIPE, "recipe", "NAME", "Settings by name, see 'blockwise list recipes' (default: none)" },
    { CLI_CONFIG, "config", "FILE.yaml", "Settings from a file, over those of the recipe (default: none)" },
    { CLI_SET, "set", "KEY=VALUE",
      "One setting, over recipe and file; may be given many times; see 'blockwise list config' (default: "
      "none)" },
    { CLI_RESUME, "resume", NULL,
      "Continue the run in RUN from its newest whole checkpoint, with the run's own settings where neither "
      "--recipe nor --config is given (default: no)" },
    { CLI_INIT, "init", "FILE",
      "Start from these weights, a .safetensors or .pth file or a run folder (default: random weights)" },
    { CLI_BLOCK, "block", "all|K", "Which block, counted from 1 (default: all)" },
    { CLI_ONE_BLOCK, "block", "K", "Which block, counted from 1 (default: the last)" },
    { CLI_FINETUNE_EPOCHS, "epochs", "N", "Passes over the labelled images (default: 20)" },
    { CLI_LABEL_FRACTION, "label-fraction", "F",
      "Share of each class's training images whose labels are used, 0.01, 0.1 or 1, say; drawn by the seed, "
      "the "
      "smaller inside the larger (required, but for --label-list; no default: it is part of the result)" },
    { CLI_LABEL_LIST, "label-list", "FILE",
      "Text file that names the labelled images instead, one a line (default: --label-fraction draws them)" },
    { CLI_WRITE_LIST, "write-list", "FILE", "Write the names of the images used (default: not written)" },
    { CLI_BATCH, "batch", "N",
      "Images a step (default: 256, or less where that would be fewer than 16 steps an epoch)" },
    { CLI_LR_TRUNK, "lr-trunk", "LR", "Learning rate of trunk and head (default: 0.002)" },
    { CLI_LR_CLASSIFIER, "lr-classifier", "LR", "Learning rate of the classifier (default: 0.5)" },
    { CLI_WEIGHT_DECAY, "weight-decay", "W", "Weight decay of every parameter (default: 0)" },
    { CLI_SOME_BLOCKS, "block", "all|K", "Which block, counted from 1 (default: the last)" },
    { CLI_CORRUPTED, "corrupted", "DIR",
      "Corrupted images in the layout of ImageNet-C or CIFAR-10-C (default: made from the test images)" },
    { CLI_CORRUPTIONS, "corruptions", "NAME,NAME...",
      "Which corruptions, see 'blockwise list corruptions' (default: all there are)" },
    { CLI_BASELINE, "baseline", "MODEL",
      "Model whose errors those of MODEL are divided by (default: errors are not normalised)" },
    { CLI_TEST_IMAGES, "test-images", "N", "Use only N test images, drawn by the seed (default: all)" },
    { CLI_RANKS, "ranks", NULL,
      "Compare the ranks that mpirun started, each with a share of a batch, with one that has all of it "
      "(default: check this machine alone)" },
    { CLI_CONCAT, "concat", NULL, "Also the features of all blocks put together (default: no)" },
    { CLI_FEATURE, "feature", "head|trunk|both",
      "Feature of a block (default: head, or trunk where the model has no heads)" },
    { CLI_ONE_FEATURE, "feature", "head|trunk",
      "Feature of a block (default: head, or trunk where the model has no heads)" },
    { CLI_PROTOCOL, "protocol", "cached|augmented",
      "Features once from centre crops and a sweep of learning rates, or the paper authors' random crops "
      "(default: cached)" },
    { CLI_EPOCHS, "epochs", "N", "Epochs of the probe (default: the protocol's own)" },
    { CLI_IMAGES, "images", "N", "Use only N training images, drawn by the seed (default: all)" },
    { CLI_SEED, "seed", "N", "Seed of every random choice (default: 0)" },
    { CLI_THREADS, "threads", "N", "Threads (default: all usable cores)" },
    { CLI_RAW, "raw", NULL, "Compare pixels instead of features; MODEL may be left out (default: no)" },
    { CLI_K, "k", "N,N...", "Numbers of neighbours (default: 20,200)" },
    { CLI_TEMPERATURE, "temperature", "T", "A neighbour's vote is exp(cosine / T) (default: 0.07)" },
    { CLI_FEATURES_OUT, "out", "FILE.npy", "Features to write, one row per image (required)" },
    { CLI_LABELS, "labels", "FILE.npy", "Labels to write, -1 where there is none (default: not written)" },
    { CLI_NAMES, "names", "FILE",
      "Names of the images to write: FILE.npy an array of strings, else text, one a line (default: not "
      "written)" },
    { CLI_SAVE, "save", "FILE",
      "Classifiers to write, a .safetensors file that export --probe reads (default: not written)" },
    { CLI_PROBE, "probe", "FILE",
      "With onnx: classifier behind the feature, from a file of probe --save (default: none)" },
    { CLI_SPLIT, "split", "train|test", "Which images (default: the test split if there is one, else all)" },
    { CLI_EXPORT_FORMAT, "format", "safetensors|onnx",
      "Format to write (default: as FILE ends: .safetensors, .onnx)" },
    { CLI_EXPORT_FEATURE, "feature", "head|trunk",
      "With onnx: feature of the block (default: trunk; with --probe as probe has it: head where the model "
      "has heads)" },
    { CLI_EXPORT_OUT, "out", "FILE", "File to write (required)" },
    { CLI_BENCH_DATA, "data", "PATH", "Images to read (default: synthetic images)" },
    { CLI_STEP_DATA, "data", "PATH",
      "Images for a second measurement, in turn with the first: steps while the loader makes the next batch "
      "(default: none)" },
    { CLI_STEPS, "steps", "N", "Repetitions to measure (default: 10)" },
    { CLI_WARMUP, "warmup", "N", "Repetitions before measuring (default: 2)" },
    { CLI_PROFILE, "profile", NULL, "Also where the time goes, by kind of operation (default: no)" },
    { CLI_TRACE, "trace", "FILE.json",
      "Write what each rank does when from the first measured step on, for trace viewers such as Perfetto "
      "(default: "
      "not "
      "written)" },
    { CLI_COUNT_STEP, "step", NULL, "Count what ranks send in a step of training (default: no)" },
    { CLI_PLAN_DATA, "data", "PATH", "Images to count (default: not read)" },
    { CLI_PLAN_IMAGES, "images", "N",
      "Number of training images (default: those of --data, or data.images, or ImageNet's 1281167)" },
    { CLI_NODES, "nodes", "N",
      "Machines like this one that share the work (default: as many as parallel.* says, or 1)" },
    { CLI_NETWORK, "network", "RATE,DELAY",
      "Links of the nodes, 1gbit,50us say, with half of a round trip for DELAY: simulates a step on every "
      "grid "
      "of them (default: time between nodes is not counted)" },
    { CLI_PRICE, "price", "P", "What a node costs in an hour (default: no cost is printed)" },
    { CLI_GFLOPS, "gflops", "R",
      "Rate of a node's matrix products as 'bench matmul' prints it for 2048 (default: measured here)" },
    { CLI_SHARDS_OUT, "out", "NAME",
      "Shards to write, with their number as %d: shard-%06d.tar, say; without one there is one (required)" },
    { CLI_PACK_SPLIT, "split", "train|test",
      "Which images (default: the training split, or all where there are no splits)" },
    { CLI_SHARD_SIZE, "size", "MB", "Largest shard, in millions of bytes (default: 256)" },
    { CLI_SHARD_IMAGES, "images", "N", "Most images of a shard (default: as many as --size holds)" },
    { CLI_REPORT_OUT, "out", "FILE.html",
      "Page to write (default: RUN/report.html; of several runs report.html in the current folder)" },
    { CLI_REPORT_DATA, "data", "PATH",
      "Images for what is made by running the network (default: where the run had them, if they are still "
      "there)" },
    { CLI_REPORT_IMAGES, "images", "N",
      "Images to run the network on, half as many to ask about; 0: none (default: 1000)" },
    { CLI_TITLE, "title", "TEXT", "Title of the page (default: the names of the runs)" },
    { CLI_WATCH, "watch", NULL,
      "Serve a page on 127.0.0.1 that follows the runs while they are trained, until interrupted; without "
      "what needs images (default: write a file)" },
    { CLI_PORT, "port", "N", "With --watch: port to serve on, 0 for a free one (default: 8765)" },
    { CLI_JSON, "json", NULL, "Print the result as JSON (default: as text)" },
    { CLI_QUIET, "quiet", NULL, "No progress, only warnings and errors (default: no)" },
    { CLI_VERBOSE, "verbose", NULL, "Everything the library has to say (default: no)" },
};
enum { TABLE_ENTRIES = sizeof TABLE / sizeof TABLE[0] };

enum { MAX_OPTIONS = 32 };

const cli_option *cli_option_of(cli_key key)
{
    for (int i = 0; i < TABLE_ENTRIES; i++)
        if (TABLE[i].key == key) return &TABLE[i];
    return NULL;
}

static int64_t parse_integer(const char *option, const char *text, int64_t least, int64_t most)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        cli_usage_error("--%s %s: not a whole number from %lld to %lld", option, text, (long long)least,
                        (long long)most);
    return value;
}

static bool parse_real(double *out, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

static double parse_positive(const char *option, const char *text)
{
    double value;
    if (!parse_real(&value, text) || !(value > 0.0))
        cli_usage_error("--%s %s: not a number above 0", option, text);
    return value;
}

static double parse_not_negative(const char *option, const char *text)
{
    double value;
    if (!parse_real(&value, text) || !(value >= 0.0))
        cli_usage_error("--%s %s: not a number, 0 or above", option, text);
    return value;
}

/* Index of `text` among the words of `choices` ("head|trunk|both"). */
static int parse_choice(const char *option, const char *text, const char *choices)
{
    const char *word = choices;
    for (int i = 0; word; i++) {
        const char *bar = strchr(word, '|');
        size_t n = bar ? (size_t)(bar - word) : strlen(word);
        if (strlen(text) == n && strncmp(text, word, n) == 0) return i;
        word = bar ? bar + 1 : NULL;
    }
    cli_usage_error("--%s %s: not one of %s", option, text, choices);
}

static void parse_k_list(cli_options *o, const char *text)
{
    char number[16];
    o->n_k = 0;
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ",");
        if (o->n_k == CLI_MAX_K) cli_usage_error("--k %s: at most %d numbers", text, CLI_MAX_K);
        (void)snprintf(number, sizeof number, "%.*s", (int)(n < sizeof number ? n : sizeof number), p);
        o->k[o->n_k++] = (int)parse_integer("k", number, 1, 1000000);
        p += n;
        if (*p == '\0') break;
    }
}

static void add_assignment(cli_options *o, const char *text)
{
    if (!strchr(text, '=')) cli_usage_error("--set %s: want KEY=VALUE", text);
    const char **grown = realloc(o->set, ((size_t)o->n_set + 1) * sizeof *o->set);
    if (!grown) {
        cli_error("out of memory");
        exit(CLI_EXIT_FAILURE);
    }
    o->set = grown;
    o->set[o->n_set++] = text;
}

/* Options that hold a number or a word out of a few. */
static bool parse_value(cli_options *o, cli_key key, const char *text)
{
    enum { MANY = 1000000000 };
    switch (key) {
    case CLI_BLOCK:
    case CLI_SOME_BLOCKS:
        o->all_blocks = strcmp(text, "all") == 0;
        if (o->all_blocks) {
            o->block = -1;
            return true;
        }
        o->block = (int)parse_integer("block", text, 1, BW_MAX_BLOCKS) - 1;
        return true;
    case CLI_ONE_BLOCK:
        o->block = (int)parse_integer("block", text, 1, BW_MAX_BLOCKS) - 1;
        return true;
    case CLI_FEATURE:
        o->feature = CLI_FEATURE_HEAD + (cli_feature)parse_choice("feature", text, "head|trunk|both");
        return true;
    case CLI_ONE_FEATURE:
    case CLI_EXPORT_FEATURE:
        o->feature = CLI_FEATURE_HEAD + (cli_feature)parse_choice("feature", text, "head|trunk");
        return true;
    case CLI_PROTOCOL:
        o->protocol = parse_choice("protocol", text, "cached|augmented") == 0 ? BW_PROTOCOL_CACHED
                                                                              : BW_PROTOCOL_AUGMENTED;
        return true;
    case CLI_SPLIT:
    case CLI_PACK_SPLIT:
        o->split = parse_choice("split", text, "train|test") == 0 ? BW_SPLIT_TRAIN : BW_SPLIT_TEST;
        return true;
    case CLI_EPOCHS:
    case CLI_FINETUNE_EPOCHS:
        o->epochs = (int)parse_integer("epochs", text, 1, MANY);
        return true;
    case CLI_IMAGES:
    case CLI_PLAN_IMAGES:
    case CLI_SHARD_IMAGES:
        o->images = parse_integer("images", text, 1, INT64_MAX);
        return true;
    case CLI_BATCH:
        o->batch = parse_integer("batch", text, 2, MANY);
        return true;
    case CLI_LABEL_FRACTION:
        o->label_fraction = parse_positive("label-fraction", text);
        if (o->label_fraction > 1.0)
            cli_usage_error("--label-fraction %s: a share, at most 1 (1 %% is 0.01)", text);
        return true;
    case CLI_SHARD_SIZE:
        o->shard_mb = parse_integer("size", text, 1, MANY);
        return true;
    case CLI_LR_TRUNK:
        o->lr_trunk = parse_positive("lr-trunk", text);
        return true;
    case CLI_LR_CLASSIFIER:
        o->lr_classifier = parse_positive("lr-classifier", text);
        return true;
    case CLI_WEIGHT_DECAY:
        o->weight_decay = parse_not_negative("weight-decay", text);
        return true;
    case CLI_TEST_IMAGES:
        o->test_images = parse_integer("test-images", text, 1, INT64_MAX);
        return true;
    case CLI_SEED:
        o->seed = (uint64_t)parse_integer("seed", text, 0, INT64_MAX);
        return true;
    case CLI_THREADS:
        o->threads = (int)parse_integer("threads", text, 1, 4096);
        return true;
    case CLI_STEPS:
        o->steps = (int)parse_integer("steps", text, 1, MANY);
        return true;
    case CLI_WARMUP:
        o->warmup = (int)parse_integer("warmup", text, 0, MANY);
        return true;
    case CLI_NODES:
        o->nodes = (int)parse_integer("nodes", text, 1, 1000000);
        return true;
    case CLI_PORT:
        o->port = (int)parse_integer("port", text, 0, 65535);
        return true;
    case CLI_REPORT_IMAGES:
        o->images = parse_integer("images", text, 0, 1000000);
        if (o->images == 0) o->images = -1; /* none, while 0 is what was not given */
        return true;
    case CLI_PRICE:
        o->price = parse_positive("price", text);
        return true;
    case CLI_GFLOPS:
        o->gflops = parse_positive("gflops", text);
        return true;
    case CLI_TEMPERATURE:
        o->temperature = parse_positive("temperature", text);
        return true;
    case CLI_K:
        parse_k_list(o, text);
        return true;
    default:
        return false;
    }
}

/* Where an option that is kept as it stands goes. */
static const char **text_field(cli_options *o, cli_key key)
{
    switch (key) {
    case CLI_DATA:
    case CLI_SPLIT_DATA:
    case CLI_BENCH_DATA:
    case CLI_STEP_DATA:
    case CLI_PLAN_DATA:
    case CLI_REPORT_DATA:
        return &o->data;
    case CLI_TRAIN_ALIAS:
    case CLI_TRAIN:
        return &o->train;
    case CLI_TEST:
        return &o->test;
    case CLI_DATA_FORMAT:
    case CLI_EXPORT_FORMAT:
        return &o->format;
    case CLI_RUN_OUT:
    case CLI_FEATURES_OUT:
    case CLI_EXPORT_OUT:
    case CLI_SHARDS_OUT:
    case CLI_REPORT_OUT:
        return &o->out;
    case CLI_TITLE:
        return &o->title;
    case CLI_LABELS:
        return &o->labels;
    case CLI_NAMES:
        return &o->names;
    case CLI_SAVE:
        return &o->save;
    case CLI_PROBE:
        return &o->probe;
    case CLI_RECIPE:
        return &o->recipe;
    case CLI_CONFIG:
        return &o->config;
    case CLI_INIT:
        return &o->init;
    case CLI_CORRUPTED:
        return &o->corrupted;
    case CLI_CORRUPTIONS:
        return &o->corruptions;
    case CLI_BASELINE:
        return &o->baseline;
    case CLI_LABEL_LIST:
        return &o->label_list;
    case CLI_WRITE_LIST:
        return &o->write_list;
    case CLI_NETWORK:
        return &o->network;
    case CLI_TRACE:
        return &o->trace;
    default:
        return NULL;
    }
}

static bool *flag_field(cli_options *o, cli_key key)
{
    switch (key) {
    case CLI_RESUME:
        return &o->resume;
    case CLI_CONCAT:
        return &o->concat;
    case CLI_RAW:
        return &o->raw;
    case CLI_RANKS:
        return &o->ranks;
    case CLI_PROFILE:
        return &o->profile;
    case CLI_COUNT_STEP:
        return &o->step;
    case CLI_WATCH:
        return &o->watch;
    case CLI_JSON:
        return &o->json;
    case CLI_QUIET:
        return &o->quiet;
    case CLI_VERBOSE:
        return &o->verbose;
    default:
        return NULL;
    }
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
    cli_options *o = state->input;
    if (key == 'h') {
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        if (o->n_arguments == CLI_MAX_ARGUMENTS) cli_usage_error("%s: one argument too many", arg);
        o->arguments[o->n_arguments++] = arg;
        return 0;
    }
    if (key < CLI_DATA || key > CLI_VERBOSE) return ARGP_ERR_UNKNOWN;
    const char **text = text_field(o, (cli_key)key);
    bool *flag = flag_field(o, (cli_key)key);
    if (text)
        *text = arg;
    else if (flag)
        *flag = true;
    else if (key == CLI_SET)
        add_assignment(o, arg);
    else if (!parse_value(o, (cli_key)key, arg))
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Options of argp for `verb`, and its help text. */
typedef struct verb_argp {
    struct argp_option options[MAX_OPTIONS];
    const char *names[MAX_OPTIONS]; /* [n_names], with argp's own */
    bool takes_value[MAX_OPTIONS];
    int n_names;
    char title[64];
    char doc[4096];
    struct argp argp;
} verb_argp;

/* The summary stands above the options, notes and examples below. */
static void write_doc(char *out, size_t room, const cli_verb *verb)
{
    const char *notes = verb->notes ? verb->notes : "";
    int n =
        snprintf(out, room, "%s\v%s%s", verb->summary, notes, verb->notes && verb->examples ? "\n\n" : "");
    if (!verb->examples) return;
    n += snprintf(out + n, room - (size_t)n, "Examples:");
    for (const char *line = verb->examples; *line; line += strspn(line, "\n")) {
        int length = (int)strcspn(line, "\n");
        n += snprintf(out + n, room - (size_t)n, "\n  %.*s", length, line);
        line += length;
    }
}

static void build_argp(verb_argp *a, const cli_verb *verb)
{
    *a = (verb_argp){ 0 };
    int n = 0;
    for (const cli_key *key = verb->options; *key != CLI_END; key++) {
        const cli_option *text = cli_option_of(*key);
        a->options[n] = (struct argp_option){ text->name, (int)*key, text->value, 0, text->help, 0 };
        a->names[n] = text->name;
        a->takes_value[n++] = text->value != NULL;
    }
    a->options[n] = (struct argp_option){ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0 };
    a->n_names = n;
    a->names[a->n_names++] = "help";
    a->names[a->n_names++] = "usage";
    (void)snprintf(a->title, sizeof a->title, "blockwise %s", verb->name);
    write_doc(a->doc, sizeof a->doc, verb);
    a->argp.options = a->options;
    a->argp.parser = parse_one;
    a->argp.args_doc = verb->arguments[0] ? verb->arguments : NULL;
    a->argp.doc = a->doc;
}

/* "optimizer.lr" for "lr", a key's last word; false where no key has it. */
static bool key_called(bw_config_key *key, const char *word)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s", word);
    for (char *p = name; *p; p++)
        if (*p == '-') *p = '_';
    for (int i = 0; bw_config_key_at(key, i); i++) {
        const char *last = strrchr(key->name, '.');
        if (strcmp(last ? last + 1 : key->name, name) == 0 || strcmp(key->name, name) == 0) return true;
    }
    return false;
}

_Noreturn static void unknown_option(const verb_argp *a, const char *name)
{
    bw_config_key key;
    const char *near = bw__nearest(name, a->names, a->n_names);
    for (int i = 0; i < a->n_names; i++)
        if (!near && strcmp(a->names[i], "set") == 0 && key_called(&key, name))
            cli_usage_error("unknown option --%s; it is a setting: --set %s=VALUE", name, key.name);
    cli_usage_error("unknown option --%s%s%s; see '%s --help'", name, near ? ", the nearest is --" : "",
                    near ? near : "", a->title);
}

/* Options have no short forms: that of `-q` is the first that begins with it. */
_Noreturn static void unknown_letter(const verb_argp *a, const char *word)
{
    for (int i = 0; i < a->n_names; i++)
        if (a->names[i][0] == word[1])
            cli_usage_error("unknown option %s; options have long names: --%s", word, a->names[i]);
    cli_usage_error("unknown option %s; see '%s --help'", word, a->title);
}

static bool is_option(const verb_argp *a, const char *word)
{
    if (strncmp(word, "--", 2) != 0) return false;
    for (int i = 0; i < a->n_names; i++)
        if (strlen(a->names[i]) == strcspn(word + 2, "=") &&
            strncmp(a->names[i], word + 2, strcspn(word + 2, "=")) == 0)
            return true;
    return false;
}

/* Finds what getopt would complain about before it does, so that the message can name the nearest
 * option. Returns how many words of argv the option takes. */
static int check_long_option(const verb_argp *a, const char *word, const char *next)
{
    size_t n = strcspn(word + 2, "=");
    char name[64];
    int found = -1, matches = 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name), word + 2);
    for (int i = 0; i < a->n_names; i++) {
        if (strncmp(a->names[i], name, strlen(name)) != 0) continue;
        bool exact = strcmp(a->names[i], name) == 0;
        matches = exact ? 1 : matches + 1;
        found = i;
        if (exact) break;
    }
    if (matches == 0) unknown_option(a, name);
    if (matches > 1) cli_usage_error("option --%s is short for several; see '%s --help'", name, a->title);
    bool has_value = word[2 + n] == '=';
    if (!a->takes_value[found] && has_value) cli_usage_error("option --%s takes no value", a->names[found]);
    if (a->takes_value[found] && !has_value && (!next || is_option(a, next)))
        cli_usage_error("option --%s needs a value%s%s; see '%s --help'", a->names[found],
                        next ? ", and is followed by " : "", next ? next : "", a->title);
    return a->takes_value[found] && !has_value ? 2 : 1;
}

static void check_words(const verb_argp *a, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) return;
        if (strncmp(word, "--", 2) == 0)
            i += check_long_option(a, word, i + 1 < argc ? argv[i + 1] : NULL);
        else if (word[0] == '-' && word[1] != '\0' && strcmp(word, "-h") != 0 && strcmp(word, "-?") != 0)
            unknown_letter(a, word);
        else
            i++;
    }
}

static bool has_option(const cli_verb *verb, cli_key wanted)
{
    for (const cli_key *key = verb->options; *key != CLI_END; key++)
        if (*key == wanted) return true;
    return false;
}

static void check_arguments(const cli_options *o, const cli_verb *verb)
{
    if (o->n_arguments < verb->min_arguments)
        cli_usage_error("needs %s%s; see 'blockwise %s --help'", verb->arguments,
                        strcmp(verb->arguments, "MODEL") == 0 ? ", a run folder or a file of weights" : "",
                        verb->name);
    if (o->n_arguments <= verb->max_arguments) return;
    const char *extra = o->arguments[verb->max_arguments];
    if (has_option(verb, CLI_DATA) && !o->data && !o->train)
        cli_usage_error("%s: images are named by an option: --data %s; see 'blockwise %s --help'", extra,
                        extra, verb->name);
    cli_usage_error("%s: one argument too many; see 'blockwise %s --help'", extra, verb->name);
}

void cli_options_parse(cli_options *options, const cli_verb *verb, int argc, char **argv)
{
    verb_argp a;
    *options = (cli_options){ .block = -1,
                              .split = BW_SPLIT_ANY,
                              .n_k = 2,
                              .k = { 20, 200 },
                              .temperature = 0.07,
                              .port = -1,
                              .steps = -1,
                              .warmup = -1 };
    build_argp(&a, verb);
    check_words(&a, argc, argv);
    argv[0] = a.title;
    argp_err_exit_status = CLI_EXIT_USAGE;
    if (argp_parse(&a.argp, argc, argv, 0, NULL, options) != 0)
        cli_usage_error("the command line could not be understood; see '%s --help'", a.title);
    check_arguments(options, verb);
}

void cli_options_clear(cli_options *options)
{
    free(options->set);
    *options = (cli_options){ 0 };
}

void cli_print_help(const cli_verb *verb)
{
    verb_argp a;
    build_argp(&a, verb);
    argp_help(&a.argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, a.title);
}
