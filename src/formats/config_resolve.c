/* Defaults, values that follow from others, impossible combinations, and what may change in a resumed run. */
#include "base/machine.h"
#include "formats/architecture.h"
#include "formats/config_check.h"
#include "formats/config_schema.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Splits "[a, b]" or "a" in place; returns the number of items. */
static int split_default(char *text, const char *items[], int most)
{
    int n = 0;
    char *rest = NULL;
    for (char *p = strtok_r(text, "[, ]", &rest); p && n < most; p = strtok_r(NULL, "[, ]", &rest))
        items[n++] = p;
    return n;
}

bw_config bw_config_default(void)
{
    bw_config config;
    memset(&config, 0, sizeof config);
    for (int i = 0; i < bw__keys(); i++) {
        const bw_key *key = bw__key(i);
        char text[BW_KEY_TEXT];
        const char *items[BW_MAX_BLOCKS];
        (void)snprintf(text, sizeof text, "%s", key->default_text);
        int n = split_default(text, items, BW_MAX_BLOCKS);
        bw_status st = bw__key_assign(&config, key, items, n, key->default_text[0] == '[');
        BW_ASSERT(st == BW_OK);
    }
    return config;
}

/* Base learning rates of LARS by batch size that Barlow Twins' authors found on ImageNet; linear in
 * log(batch) between them, constant outside. */
static double lars_base_lr(double batch)
{
    static const double BATCH[] = { 128, 256, 512, 1024, 2048 }, LR[] = { 0.7, 0.4, 0.3, 0.25, 0.2 };
    enum { N = sizeof BATCH / sizeof *BATCH };
    if (batch <= BATCH[0]) return LR[0];
    for (int i = 1; i < N; i++) {
        if (batch > BATCH[i]) continue;
        double t = log2(batch / BATCH[i - 1]); /* neighbours are a factor of two apart */
        return LR[i - 1] + t * (LR[i] - LR[i - 1]);
    }
    return LR[N - 1];
}

static const double SGD_BASE_LR = 0.05, ADAMW_BASE_LR = 0.001;
static const double BARLOW_SCALE = 0.024; /* the authors' script */

static double base_lr(bw_optimizer_name name, double batch)
{
    return name == BW_OPTIMIZER_LARS  ? lars_base_lr(batch)
           : name == BW_OPTIMIZER_SGD ? SGD_BASE_LR
                                      : ADAMW_BASE_LR;
}

static double loss_scale(bw_loss_name name)
{
    return name == BW_LOSS_BARLOW_TWINS ? BARLOW_SCALE : 1.0;
}

static int64_t last_width(const bw_config *c)
{
    return bw__stage_channels(&c->model, BW_STAGES - 1);
}

static void resolve_numbers(bw_config *c)
{
    if (c->threads == 0) c->threads = bw__usable_cores();
    if (c->data.threads == 0) c->data.threads = c->threads;
    if (c->data.image_size == 0) c->data.image_size = c->model.stem == BW_STEM_CIFAR ? 32 : 224;
    if (isnan(c->optimizer.lr)) c->optimizer.lr = base_lr(c->optimizer.name, (double)c->train.batch);
    if (isnan(c->loss.scale)) c->loss.scale = loss_scale(c->loss.name);
}

static void resolve_head(bw_config *c)
{
    if (c->train.order == BW_ORDER_END_TO_END) {
        if (!bw_config_is_set(c, "head.pool")) c->head.pool = BW_POOL_GSP;
        if (!bw_config_is_set(c, "noise.kind")) c->noise.kind = BW_NOISE_NONE;
    }
    if (c->loss.name == BW_LOSS_CROSS_ENTROPY && !bw_config_is_set(c, "projector.widths"))
        c->projector = (bw_projector_config){ .n = 0 };
    if (c->head.dim == 0 || (c->head.pool == BW_POOL_GSP && !bw_config_is_set(c, "head.dim")))
        c->head.dim = last_width(c);
}

static bool has_own(const bw_config *c, const char *key, int k)
{
    return bw__key_is_set(c, bw__key_find(key), k);
}

static void mark_own(bw_config *c, const char *key, int k)
{
    bw__key_mark(c, bw__key_find(key), k, true);
}

/* What block k needs since it differs from the run, unless it has its own: written as its own value. */
static void resolve_block(bw_config *c, int k)
{
    bw_block_config b = bw_config_block(c, k), *own = &c->block[k];
    bool supervised = b.loss.name == BW_LOSS_CROSS_ENTROPY;
    bool other_optimizer = b.optimizer.name != c->optimizer.name && !has_own(c, "optimizer.lr", k);
    bool other_loss = b.loss.name != c->loss.name && !has_own(c, "loss.scale", k);
    if (other_optimizer || isnan(b.optimizer.lr)) {
        own->optimizer.lr = base_lr(b.optimizer.name, (double)c->train.batch);
        mark_own(c, "optimizer.lr", k);
    }
    if (other_loss || isnan(b.loss.scale)) {
        own->loss.scale = loss_scale(b.loss.name);
        mark_own(c, "loss.scale", k);
    }
    if (b.head.dim == 0) {
        own->head.dim = last_width(c);
        mark_own(c, "head.dim", k);
    }
    if (supervised == (c->loss.name == BW_LOSS_CROSS_ENTROPY) || has_own(c, "projector.widths", k)) return;
    if (!supervised && c->projector.n > 0) return; /* hidden layers were given, they serve here too */
    own->projector = supervised ? (bw_projector_config){ .n = 0 } : bw_config_default().projector;
    mark_own(c, "projector.widths", k);
}

bw_status bw_config_resolve(bw_config *config)
{
    bw_status st = BW_OK;
    bw_config c = *config;
    BW_TRY(bw__config_check_values(&c));
    BW_TRY(bw__cuts_check(&c.model));
    BW_TRY(bw__config_check_blocks(&c));
    resolve_numbers(&c);
    resolve_head(&c);
    for (int k = 0; k < bw__config_blocks(&c); k++)
        resolve_block(&c, k);
    BW_TRY(bw__config_check_sense(&c));
    BW_TRY(bw__heads_check(&c));
    *config = c;
out:
    return st;
}

/* Fails if key `index` of `block` (or of the run) has not the same value in both. */
static bw_status same_value(const bw_config *a, const bw_config *b, int index, int block)
{
    char was[BW_KEY_TEXT], is[BW_KEY_TEXT], name[BW_KEY_NAME], shown[BW_KEY_NAME];
    bool own_a = block != BW_OF_RUN && bw__key_is_set(a, index, block);
    bool own_b = block != BW_OF_RUN && bw__key_is_set(b, index, block);
    if (block != BW_OF_RUN && !own_a && !own_b) return BW_OK;
    bw_key in_a = bw__key_of_block(name, index, own_a ? block : BW_OF_RUN);
    bw_key in_b = bw__key_of_block(name, index, own_b ? block : BW_OF_RUN);
    bw__key_format(was, a, &in_a);
    bw__key_format(is, b, &in_b);
    if (strcmp(was, is) == 0) return BW_OK;
    return bw_fail(BW_EINVAL,
                   "%s: the run was started with %s and cannot be continued with %s; use the same value, or "
                   "start a new run",
                   bw__key_of_block(shown, index, block).name, was, is);
}

bw_status bw_config_same_run(const bw_config *a, const bw_config *b)
{
    for (int block = BW_OF_RUN; block < BW_MAX_BLOCKS; block++)
        for (int i = 0; i < bw__keys(); i++) {
            bw_status st = bw__key(i)->may_differ ? BW_OK : same_value(a, b, i, block);
            if (st != BW_OK) return st;
        }
    return BW_OK;
}
