/* Defaults, values that follow from others, impossible combinations, and what may change in a resumed run. */
#include "base/machine.h"
#include "formats/architecture.h"
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

static bw_status resolve_numbers(bw_config *c)
{
    if (c->threads == 0) c->threads = bw__usable_cores();
    if (c->data.threads == 0) c->data.threads = c->threads;
    if (c->data.image_size == 0) c->data.image_size = c->model.stem == BW_STEM_CIFAR ? 32 : 224;
    if (isnan(c->optimizer.lr)) c->optimizer.lr = base_lr(c->optimizer.name, (double)c->train.batch);
    if (isnan(c->loss.scale)) c->loss.scale = c->loss.name == BW_LOSS_BARLOW_TWINS ? BARLOW_SCALE : 1.0;
    if (c->data.images > 0 && c->data.images < c->train.batch)
        return bw_fail(BW_EINVAL,
                       "data.images: %lld is less than train.batch %lld; use more images or a "
                       "smaller batch",
                       (long long)c->data.images, (long long)c->train.batch);
    return BW_OK;
}

static bw_status resolve_head(bw_config *c)
{
    if (c->train.order == BW_ORDER_END_TO_END) {
        if (!bw_config_is_set(c, "head.pool")) c->head.pool = BW_POOL_GSP;
        if (!bw_config_is_set(c, "noise.kind")) c->noise.kind = BW_NOISE_NONE;
    }
    if (c->loss.name == BW_LOSS_CROSS_ENTROPY) {
        if (!bw_config_is_set(c, "projector.widths")) c->projector = (bw_projector_config){ .n = 0 };
    } else if (c->projector.n == 0) {
        return bw_fail(BW_EINVAL,
                       "projector.widths: an empty list, but the %s loss needs a projector; give "
                       "at least one width",
                       c->loss.name == BW_LOSS_VICREG   ? "vicreg"
                       : c->loss.name == BW_LOSS_SIMCLR ? "simclr"
                                                        : "barlow-twins");
    }
    int64_t width = bw__stage_channels(&c->model, BW_STAGES - 1);
    if (c->head.pool == BW_POOL_GSP && c->head.dim != width) {
        if (c->head.dim != 0 && bw_config_is_set(c, "head.dim"))
            return bw_fail(BW_EINVAL,
                           "head.dim: %lld has no meaning with head.pool gsp, which has no convolution; "
                           "leave it out, or set head.pool cbe",
                           (long long)c->head.dim);
        c->head.dim = width;
    }
    if (c->head.dim == 0) c->head.dim = width;
    return BW_OK;
}

bw_status bw_config_resolve(bw_config *config)
{
    bw_status st = BW_OK;
    bw_config c = *config;
    for (int i = 0; i < bw__keys(); i++)
        BW_TRY(bw__key_check(&c, bw__key(i)));
    BW_TRY(bw__cuts_check(&c.model));
    BW_TRY(resolve_numbers(&c));
    BW_TRY(resolve_head(&c));
    *config = c;
out:
    return st;
}

bw_status bw_config_same_run(const bw_config *a, const bw_config *b)
{
    char was[BW_KEY_TEXT], is[BW_KEY_TEXT];
    for (int i = 0; i < bw__keys(); i++) {
        const bw_key *key = bw__key(i);
        if (key->may_differ) continue;
        bw__key_format(was, a, key);
        bw__key_format(is, b, key);
        if (strcmp(was, is) != 0)
            return bw_fail(BW_EINVAL,
                           "%s: the run was started with %s and cannot be continued with %s; use the "
                           "same value, or start a new run",
                           key->name, was, is);
    }
    return BW_OK;
}

bw_block_config bw_config_block(const bw_config *config, int k)
{
    (void)k; /* every block takes the run's settings */
    return (bw_block_config){ .head = config->head,
                              .projector = config->projector,
                              .loss = config->loss,
                              .noise = config->noise,
                              .optimizer = config->optimizer };
}
