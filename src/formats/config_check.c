#include "formats/config_check.h"
#include "formats/architecture.h"
#include "formats/config_schema.h"
#include <stdio.h>
#include <string.h>

bw_status bw__config_check_values(const bw_config *config)
{
    char name[BW_KEY_NAME];
    for (int block = BW_OF_RUN; block < BW_MAX_BLOCKS; block++)
        for (int i = 0; i < bw__keys(); i++) {
            if (block != BW_OF_RUN && !bw__key_is_set(config, i, block)) continue;
            bw_key key = bw__key_of_block(name, i, block);
            bw_status st = bw__key_check(config, &key);
            if (st != BW_OK) return st;
        }
    return BW_OK;
}

/* --- blocks that there are --- */

static bw_status no_such_block(const bw_config *c, const char *key, long long number)
{
    int blocks = bw__config_blocks(c);
    char cuts[BW_KEY_TEXT];
    bw__key_format(cuts, c, bw__key(bw__key_find("model.cuts")));
    if (c->train.order == BW_ORDER_END_TO_END)
        return bw_fail(BW_EINVAL,
                       "%s: there is no block %lld: train.order end-to-end trains the network as one block, "
                       "block 1",
                       key, number);
    return bw_fail(
        BW_EINVAL,
        "%s: there is no block %lld: model.cuts %s makes blocks 1 to %d; name one of these, or cut "
        "elsewhere",
        key, number, cuts, blocks);
}

static bw_status check_list(const bw_config *c, const char *key, const bw_int_list *list)
{
    for (int i = 0; i < list->n; i++)
        if (list->at[i] > bw__config_blocks(c)) return no_such_block(c, key, list->at[i]);
    return BW_OK;
}

bw_status bw__config_check_blocks(const bw_config *config)
{
    char name[BW_KEY_NAME];
    for (int k = bw__config_blocks(config); k < BW_MAX_BLOCKS; k++)
        for (int i = 0; i < bw__keys(); i++)
            if (bw__key_is_set(config, i, k))
                return no_such_block(config, bw__key_of_block(name, i, k).name, k + 1);
    bw_status st = check_list(config, "train.blocks", &config->train.blocks);
    return st == BW_OK ? check_list(config, "train.init_blocks", &config->train.init_blocks) : st;
}

/* --- settings that nothing uses --- */

/* `key` counts where `by`, a word, is one of `words` (bits by its number). */
typedef struct use {
    const char *key, *by;
    unsigned words;
    bool always; /* wherever it was given: what the head is made of. Others only by bw_config_set(), because
                    a recipe that is extended may give them for its own loss or optimiser */
} use;
#define WORD(word) (1u << (word))

static const use USES[] = {
    { "head.filter", "head.pool", WORD(BW_POOL_CBE), true },
    { "head.stride", "head.pool", WORD(BW_POOL_CBE), true },
    { "head.dim", "head.pool", WORD(BW_POOL_CBE) | WORD(BW_POOL_LSP), true },
    { "loss.lambda", "loss.name", WORD(BW_LOSS_BARLOW_TWINS), false },
    { "loss.invariance", "loss.name", WORD(BW_LOSS_VICREG), false },
    { "loss.variance", "loss.name", WORD(BW_LOSS_VICREG), false },
    { "loss.covariance", "loss.name", WORD(BW_LOSS_VICREG), false },
    { "loss.temperature", "loss.name", WORD(BW_LOSS_SIMCLR), false },
    { "loss.classes", "loss.name", WORD(BW_LOSS_CROSS_ENTROPY) | WORD(BW_LOSS_CUSTOM), false },
    { "loss.rule", "loss.name", WORD(BW_LOSS_CUSTOM), false },
    { "noise.sigma", "noise.kind", WORD(BW_NOISE_ALL) | WORD(BW_NOISE_HW) | WORD(BW_NOISE_C), false },
    { "optimizer.eta", "optimizer.name", WORD(BW_OPTIMIZER_LARS), false },
    { "optimizer.clip_lr", "optimizer.name", WORD(BW_OPTIMIZER_LARS), false },
    { "optimizer.beta2", "optimizer.name", WORD(BW_OPTIMIZER_ADAMW), false },
    { "optimizer.eps", "optimizer.name", WORD(BW_OPTIMIZER_ADAMW), false },
    { "optimizer.decay_at", "optimizer.schedule", WORD(BW_SCHEDULE_STEP), false },
    { "optimizer.decay_factor", "optimizer.schedule", WORD(BW_SCHEDULE_STEP), false },
    { "optimizer.final_lr", "optimizer.schedule", WORD(BW_SCHEDULE_COSINE), false },
};
enum { N_USES = sizeof USES / sizeof USES[0] };

/* The word that `by` has for block k. */
static int word_of(const bw_config *c, const char *by, int k)
{
    char name[BW_KEY_NAME];
    int word, index = bw__key_find(by);
    bw_key key = bw__key_of_block(name, index, bw__key_is_set(c, index, k) ? k : BW_OF_RUN);
    memcpy(&word, (const char *)c + key.offset, sizeof word);
    return word;
}

static bool used_in(const bw_config *c, const use *u, int k)
{
    return (u->words & WORD(word_of(c, u->by, k))) != 0;
}

/* The value of the run counts for some block. */
static bool used_by_run(const bw_config *c, const use *u)
{
    int index = bw__key_find(u->key);
    if (c->probe.every > 0 && strcmp(u->key, "loss.classes") == 0) return true; /* the online probe's too */
    for (int k = 0; k < bw__config_blocks(c); k++)
        if (!bw__key_is_set(c, index, k) && used_in(c, u, k)) return true;
    return false;
}

/* A value that is the default's cannot have been meant to change anything. */
static bool is_default(const bw_config *c, const bw_key *key, int index)
{
    char value[BW_KEY_TEXT], standard[BW_KEY_TEXT];
    bw_config d = bw_config_default();
    d.head.dim = bw__stage_channels(&c->model, BW_STAGES - 1);
    bw__key_format(value, c, key);
    bw__key_format(standard, &d, bw__key(index));
    return strcmp(value, standard) == 0;
}

/* "hw or c" */
static void words_text(char out[BW_KEY_TEXT], const use *u, const char *between)
{
    const bw_key *by = bw__key(bw__key_find(u->by));
    out[0] = '\0';
    for (int i = 0; by->names[i]; i++) {
        size_t used = strlen(out);
        if (u->words & WORD(i))
            (void)snprintf(out + used, BW_KEY_TEXT - used, "%s%s", used > 0 ? between : "", by->names[i]);
    }
}

void bw__config_used_with(char *out, size_t size, int index)
{
    char words[BW_KEY_TEXT];
    *out = '\0';
    for (int i = 0; i < N_USES; i++) {
        if (bw__key_find(USES[i].key) != index) continue;
        words_text(words, &USES[i], " or ");
        (void)snprintf(out, size, "%s %s%s", USES[i].by, words,
                       strcmp(USES[i].key, "loss.classes") == 0 ? ", or probe.every" : "");
    }
}

/* `key` is that of the run (block BW_OF_RUN) or of one block. */
static bw_status refuse_unused(const bw_config *c, const use *u, const bw_key *key, int block)
{
    char value[BW_KEY_TEXT], words[BW_KEY_TEXT], have[BW_KEY_TEXT], name[BW_KEY_NAME];
    int by = bw__key_find(u->by);
    bool own_by = block != BW_OF_RUN && bw__key_is_set(c, by, block);
    bw_key by_key = bw__key_of_block(name, by, own_by ? block : BW_OF_RUN);
    words_text(words, u, " or ");
    bw__key_format(value, c, key);
    bw__key_format(have, c, &by_key);
    return bw_fail(BW_EINVAL,
                   "%s: %s has no meaning with %s %s; what takes it is %s %s: set that, or leave %s out",
                   key->name, value, by_key.name, have, u->by, words, key->name);
}

static bw_status check_use(const bw_config *c, const use *u)
{
    char name[BW_KEY_NAME];
    int index = bw__key_find(u->key);
    bool told = (c->is_told[index / 64] >> (index % 64) & 1) != 0;
    if ((told || u->always) && !used_by_run(c, u) && !is_default(c, bw__key(index), index))
        return refuse_unused(c, u, bw__key(index), BW_OF_RUN);
    for (int k = 0; k < bw__config_blocks(c); k++) {
        bw_key key = bw__key_of_block(name, index, k);
        if (bw__key_is_set(c, index, k) && !used_in(c, u, k) && !is_default(c, &key, index))
            return refuse_unused(c, u, &key, k);
    }
    return BW_OK;
}

bool bw__config_unused_at(char *out, size_t size, const bw_config *config, int index)
{
    char value[BW_KEY_TEXT], words[BW_KEY_TEXT];
    for (int i = 0; i < N_USES; i++) {
        const use *u = &USES[i];
        int key = bw__key_find(u->key);
        bool given = bw__key_is_set(config, key, BW_OF_RUN);
        if (!given || used_by_run(config, u) || is_default(config, bw__key(key), key)) continue;
        if (index-- > 0) continue;
        bw__key_format(value, config, bw__key(key));
        words_text(words, u, " or ");
        (void)snprintf(out, size, "%s: %s has no effect, no block has %s %s", u->key, value, u->by, words);
        return true;
    }
    return false;
}

/* --- values that contradict each other --- */

static const char *word_text(char out[BW_KEY_TEXT], const char *key, int word)
{
    (void)snprintf(out, BW_KEY_TEXT, "%s", bw__key(bw__key_find(key))->names[word]);
    return out;
}

static bw_status check_block(const bw_config *c, int k)
{
    char own[BW_KEY_NAME], loss[BW_KEY_TEXT];
    bw_block_config b = bw_config_block(c, k);
    int index = bw__key_find("projector.widths");
    const char *projector = bw__key_of_block(own, index, bw__key_is_set(c, index, k) ? k : BW_OF_RUN).name;
    if (b.loss.name != BW_LOSS_CROSS_ENTROPY && b.projector.n == 0)
        return bw_fail(BW_EINVAL,
                       "%s: an empty list, but the %s loss needs a projector; give at least one width",
                       projector, word_text(loss, "loss.name", (int)b.loss.name));
    if (b.loss.name == BW_LOSS_CUSTOM && strcmp(b.loss.rule, "none") == 0)
        return bw_fail(BW_EINVAL,
                       "loss.rule: block %d has the loss custom and no rule; give the name of one that the "
                       "program registers",
                       k + 1);
    if (b.loss.name == BW_LOSS_SIMCLR && b.projector.widths[b.projector.n - 1] < 2)
        return bw_fail(BW_EINVAL,
                       "%s: the last width is 1, and the cosines that simclr compares would all be 1 or -1; "
                       "make it 2 or more",
                       projector);
    if (b.loss.name == BW_LOSS_VICREG && b.loss.invariance + b.loss.variance + b.loss.covariance <= 0.0)
        return bw_fail(BW_EINVAL,
                       "loss: block %d has vicreg with all of its weights 0 and would learn nothing; set "
                       "loss.invariance, loss.variance or loss.covariance above 0",
                       k + 1);
    return BW_OK;
}

static bw_status check_batch(const bw_config *c)
{
    long long batch = (long long)c->train.batch, split = (long long)c->train.split;
    if (batch % split != 0)
        return bw_fail(BW_EINVAL,
                       "train.split: %lld parts do not divide train.batch %lld; take a divisor of the batch",
                       split, batch);
    if (batch / split < 2)
        return bw_fail(BW_EINVAL,
                       "train.split: %lld parts of train.batch %lld have one image each, and batch "
                       "statistics need two; take at most %lld parts",
                       split, batch, batch / 2);
    if (c->data.images > 0 && c->data.images < c->train.batch)
        return bw_fail(BW_EINVAL,
                       "data.images: %lld is less than train.batch %lld; use more images or a "
                       "smaller batch",
                       (long long)c->data.images, batch);
    return BW_OK;
}

bw_status bw__config_check_sense(const bw_config *config)
{
    bw_status st = check_batch(config);
    for (int k = 0; k < bw__config_blocks(config) && st == BW_OK; k++)
        st = check_block(config, k);
    for (int i = 0; i < N_USES && st == BW_OK; i++)
        st = check_use(config, &USES[i]);
    return st;
}
