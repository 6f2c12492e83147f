#include "cli/settings.h"
#include "base/error.h"
#include "formats/architecture.h"
#include "formats/config_schema.h"
#include "train/labels.h"

static const int64_t ASSUMED_CLASSES = 1000; /* ImageNet's */

/* How many ranks and threads a run had is no part of it. Those of its own file hold where they can: a run
 * that goes on with another number of ranks has other shares, and each rank its own part of a machine. */
static bw_status drop_unfit_shares(bw_config *config)
{
    static const char *const SHARES[] = { "parallel.data=auto", "parallel.block=1" }, *const THREADS[] = {
        "threads=auto", "data.threads=auto"
    };
    bw_status st = BW_OK;
    int ranks = bw_comm_size(cli_comm()), data = config->parallel.data, rows = config->parallel.block;
    bool fit = data > 0 ? (int64_t)data * rows == ranks : ranks % rows == 0;
    if (!fit)
        bw_log(BW_LOG_INFO,
               "parallel.*: what the run was started with does not fit %d rank%s; all of "
               "them share every batch",
               ranks, ranks == 1 ? "" : "s");
    for (int i = 0; i < 2 && !fit; i++)
        BW_TRY(bw_config_set(config, SHARES[i]));
    for (int i = 0; i < 2 && ranks > 1; i++)
        BW_TRY(bw_config_set(config, THREADS[i]));
out:
    return st;
}

bw_status cli_settings_load(bw_config *config, const cli_options *o, const char *base)
{
    bw_status st = BW_OK;
    *config = bw_config_default();
    if (base) {
        st = bw_config_load_file(config, base);
        if (st == BW_EINVAL) st = BW_EDATA; /* the run's own file is damaged: not the user's words */
        if (st != BW_OK) goto out;
        BW_TRY(drop_unfit_shares(config));
    }
    if (o->recipe) BW_TRY(bw_config_load_recipe(config, o->recipe));
    if (o->config) st = bw_config_load_file(config, o->config);
    if (st == BW_EIO) st = bw_fail_prefix(BW_EINVAL, "--config"); /* a name that is wrong, as a recipe's */
    if (st != BW_OK) goto out;
    for (int i = 0; i < o->n_set; i++)
        BW_TRY(bw_config_set(config, o->set[i]));
out:
    return st;
}

/* Whether these layers alone give `key`. */
static bool gives(const cli_options *layers, const char *key)
{
    bw_config config;
    return cli_settings_load(&config, layers, NULL) == BW_OK && bw_config_is_set(&config, key);
}

const char *cli_settings_origin(char *text, size_t size, const cli_options *options, const char *base,
                                const char *key)
{
    if (gives(&(cli_options){ .n_set = options->n_set, .set = options->set }, key)) return "--set";
    if (gives(&(cli_options){ .config = options->config }, key)) {
        (void)snprintf(text, size, "file %s", options->config);
        return text;
    }
    if (gives(&(cli_options){ .recipe = options->recipe }, key)) {
        (void)snprintf(text, size, "recipe %s", options->recipe);
        return text;
    }
    return base ? "the run's own settings" : NULL;
}

const char *cli_setting(const bw_config *config, const char *key)
{
    enum { AT_ONCE = 8 };
    static char text[AT_ONCE][BW_KEY_TEXT];
    static int next;
    int index = bw__key_find(key);
    BW_ASSERT(index >= 0);
    next = (next + 1) % AT_ONCE;
    bw__key_format(text[next], config, bw__key(index));
    return text[next];
}

void cli_settings_assume_classes(bw_config *config)
{
    bool open = config->probe.every > 0 && config->loss.classes == 0;
    for (int k = 0; k < bw__config_blocks(config); k++) {
        bw_loss_config loss = bw_config_block(config, k).loss;
        open = open || (loss.name == BW_LOSS_CROSS_ENTROPY && loss.classes == 0);
    }
    if (!open) return;
    bw__labels_set_classes(config, ASSUMED_CLASSES);
    bw_log(BW_LOG_INFO, "loss.classes is not set and there is no data to take it from: %lld is assumed",
           (long long)ASSUMED_CLASSES);
}

const char *cli_feature_name(bw_feature feature)
{
    switch (feature) {
    case BW_FEATURE_HEAD:
        return "head";
    case BW_FEATURE_TRUNK:
        return "trunk";
    }
    return "unknown";
}
