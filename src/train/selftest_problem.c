#include "train/selftest_problem.h"
#include "base/memory.h"
#include "base/rng.h"
#include "train/labels.h"
#include "train/optimizer.h"
#include <math.h>
#include <string.h>

/* Of every batch norm, + and - in turn, in standard deviations of its output. */
static const float BIAS = 2.0f;
/* The way of one step without momentum, as a share of the length of a block's weights. */
static const double STEP_SHARE = 0.005;

enum { CLASSES = 5, MAX_PATCHES = 8 };

static const char *const BASE[] = { "threads=1",
                                    "model.arch=resnet18",
                                    "model.width=8",
                                    "model.stem=cifar",
                                    "model.zero_init_residual=false",
                                    "data.image_size=16",
                                    "projector.widths=[24,24,16]",
                                    "noise.kind=all",
                                    "optimizer.name=sgd",
                                    "optimizer.schedule=constant",
                                    "optimizer.warmup_epochs=0",
                                    NULL };

static bw_status set_all(bw_config *c, const char *const *settings)
{
    bw_status st = BW_OK;
    for (; st == BW_OK && *settings; settings++)
        st = bw_config_set(c, *settings);
    return st;
}

static bw_status make_config(bw_config *out, const char *const *settings)
{
    bw_status st = BW_OK;
    bw_config c = bw_config_default();
    BW_TRY(set_all(&c, BASE));
    BW_TRY(set_all(&c, settings));
    BW_TRY(bw_config_resolve(&c));
    bw__labels_set_classes(&c, CLASSES);
    *out = c;
out:
    return st;
}

bw_status bw__selftest_network(bw_network **out, const bw_config *config)
{
    bw_status st = bw_network_create(out, config);
    for (int k = 0; st == BW_OK && k < (*out)->blocks; k++) {
        const bw_params *params = &(*out)->params[k];
        for (int i = 0; i < params->n; i++) {
            const bw_param *p = &params->items[i];
            for (int64_t c = 0; p->kind == BW_PARAM_BN_BIAS && c < p->count; c++)
                params->values[p->offset + c] = c % 2 == 0 ? BIAS : -BIAS;
        }
    }
    return st;
}

/* A colour of its own for each image and each patch of it, and noise. Images of noise alone would all have
 * nearly the same pooled features, whose small differences are mostly rounding. */
static void draw_image(float *view, const bw_config *config, int64_t step, int64_t image, int v)
{
    enum { PATCH = 4, CHANNELS = 3 };
    const float noise = 0.3f;
    const int64_t size = config->data.image_size, patches = (size + PATCH - 1) / PATCH;
    float colour[1 + MAX_PATCHES * MAX_PATCHES][CHANNELS];
    BW_ASSERT(patches <= MAX_PATCHES);
    bw_rng r = bw__rng(config->seed, BW_RNG_SYNTHETIC, (uint64_t)step, (uint64_t)image, (uint32_t)v);
    bw__rng_normal_f32(&r, view, size * size * CHANNELS);
    r = bw__rng(config->seed, BW_RNG_SYNTHETIC, (uint64_t)step, (uint64_t)image, BW_VIEWS);
    bw__rng_normal_f32(&r, colour[0], (1 + patches * patches) * CHANNELS);
    for (int64_t y = 0; y < size; y++)
        for (int64_t x = 0; x < size; x++)
            for (int c = 0; c < CHANNELS; c++) {
                float *pixel = &view[(y * size + x) * CHANNELS + c];
                *pixel = colour[0][c] + colour[1 + y / PATCH * patches + x / PATCH][c] + noise * *pixel;
            }
}

/* This rank's images of step `number`, and their classes: those of every part of the batch that the loader
 * would deal to it. */
static void draw_batch(bw_selftest_side *s, int64_t number)
{
    const int64_t pixels = s->config.data.image_size * s->config.data.image_size * 3;
    const int64_t count = bw__grid_images(&s->grid, &s->config), own = count / s->config.train.split;
    for (int64_t i = 0; i < count; i++) {
        int64_t image = (i / own * s->grid.data + s->grid.place) * own + i % own;
        for (int v = 0; v < BW_VIEWS; v++)
            draw_image(s->views + (v * count + i) * pixels, &s->config, number, image, v);
        s->labels[i] = (int)(image % CLASSES);
    }
}

/* --- a side --- */

void bw__selftest_drop(bw_selftest_side *s)
{
    bw_trainer_free(s->trainer);
    bw_network_free(s->network);
    bw__grid_destroy(&s->grid);
    bw__free(s->views);
    bw__free(s->labels);
    *s = (bw_selftest_side){ .grid = bw__grid_alone() };
}

bw_status bw__selftest_make(bw_selftest_side *s, bw_comm *ranks, const char *const *settings)
{
    bw_status st = BW_OK;
    BW_TRY(make_config(&s->config, settings));
    if (ranks) BW_TRY(bw__grid_create(&s->grid, ranks, &s->config));
    int64_t images = bw__grid_images(&s->grid, &s->config), size = s->config.data.image_size;
    BW_TRY(BW_ALLOC(&s->views, BW_VIEWS * images * size * size * 3));
    BW_TRY(BW_ALLOC(&s->labels, images));
    BW_TRY(bw__selftest_network(&s->network, &s->config));
    BW_TRY(bw__trainer_create_on(&s->trainer, s->network, BW_SELFTEST_STEPS, &s->grid));
out:
    return st;
}

bw_status bw__selftest_step(bw_selftest_side *s, bw_step *out, int64_t number)
{
    draw_batch(s, number);
    return bw_trainer_step(s->trainer, out, s->views, s->labels);
}

bw_status bw__selftest_train(bw_selftest_side *s)
{
    bw_step done;
    for (int i = 0; i < BW_SELFTEST_STEPS; i++) {
        bw_status st = bw__selftest_step(s, &done, i);
        if (st != BW_OK) return st;
        memcpy(s->loss[i], done.loss, sizeof done.loss);
    }
    return BW_OK;
}

bw_status bw__selftest_find_rates(bw_selftest_rates *out, const char *const *settings)
{
    bw_status st = BW_OK;
    bw_selftest_side s = { .grid = bw__grid_alone() };
    bw_step done;
    BW_TRY(bw__selftest_make(&s, NULL, settings));
    s.trainer->no_update = true;
    BW_TRY(bw__selftest_step(&s, &done, 0));
    out->n = done.blocks;
    for (int k = 0; k < done.blocks; k++) {
        const bw_params *p = &s.network->params[k];
        double factor = (double)s.config.train.batch / 256.0;
        out->lr[k] = STEP_SHARE * bw__norm(p->values, p->trained, 1) / (done.grad_norm[k] * factor);
    }
out:
    bw__selftest_drop(&s);
    return st;
}

/* --- differences --- */

static double distance(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

static void raise_to(double *most, double value)
{
    if (isnan(value) || value > *most) *most = value; /* a NaN stays */
}

/* Tensors of a block, running statistics or weights: how far b is from a by the way of a. A tensor that
 * hardly moves, such as a convolution's whose output batch norm makes alike whatever it is, moves by rounding
 * mostly: it is measured by the mean way of a number of the block. */
static void compare_tensors(double *most, const bw_params *start, const bw_params *a, const bw_params *b,
                            bool weights)
{
    double way = 0.0;
    int64_t count = 0;
    for (int i = 0; i < a->n; i++) {
        const bw_param *p = &a->items[i];
        if (bw__param_is_trained(p) != weights) continue;
        double d = distance(a->values + p->offset, start->values + p->offset, p->count);
        way += d * d;
        count += p->count;
    }
    for (int i = 0; i < a->n; i++) {
        const bw_param *p = &a->items[i];
        if (bw__param_is_trained(p) != weights) continue;
        double own = distance(a->values + p->offset, start->values + p->offset, p->count);
        double least = sqrt(way * (double)p->count / (double)count);
        double apart = distance(b->values + p->offset, a->values + p->offset, p->count);
        if (apart != 0.0) raise_to(most, apart / fmax(own, least)); /* a block that does not learn: 0 of 0 */
    }
}

void bw__selftest_compare(bw_selftest_distance *out, const bw_network *start, const bw_selftest_side *one,
                          const bw_selftest_side *other)
{
    *out = (bw_selftest_distance){ 0 };
    for (int i = 0; i < BW_SELFTEST_STEPS; i++)
        for (int k = 0; k < one->network->blocks; k++) {
            double want = one->loss[i][k];
            if (isnan(want) && isnan(other->loss[i][k])) continue; /* it does not learn */
            raise_to(&out->by_loss, fabs(other->loss[i][k] - want) / fabs(want));
        }
    for (int k = 0; k < one->network->blocks; k++) {
        const bw_params *a = &one->network->params[k], *b = &other->network->params[k],
                        *s = &start->params[k];
        compare_tensors(&out->by_statistics, s, a, b, false);
        compare_tensors(&out->by_weights, s, a, b, true);
        double moved = distance(a->values, s->values, a->trained) / bw__norm(s->values, a->trained, 1);
        if (k == 0 || moved < out->moved) out->moved = moved;
    }
}
