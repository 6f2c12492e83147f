#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/network_internal.h"
#include "train/balance.h"
#include "train/trainer_internal.h"
#include <math.h>

static const int64_t SMALL_BATCH = 2;
/* The larger batch is one whose step takes about so long, and at least twice the smaller one. */
static const double LARGE_STEP_S = 0.5;
/* Steps are repeated until they have taken so long together; the quickest counts, since everything else on
 * the machine only adds to it. One that takes longer needs no other to warm up before it. */
static const double ENOUGH_S = 0.4;
enum { MOST_REPEATS = 6 };
/* Updates are done with a rate of 0: so few images could not stand the run's. */
static const double STANDING_STILL[] = {
    [BW_PART_TRUNK] = 0.0, [BW_PART_HEAD] = 0.0, [BW_PART_PROJECTOR] = 0.0
};

typedef struct lap {
    double block_s[BW_MAX_BLOCKS], step_s;
    int blocks;
} lap;

static bw_status one_step(lap *out, bw_trainer *t, const float *views, const int *labels)
{
    bw_step step;
    double begin = bw__now_s();
    bw_status st = bw_trainer_step(t, &step, views, labels);
    out->step_s = bw__now_s() - begin;
    out->blocks = t->phase->last + 1;
    for (int k = 0; k < out->blocks; k++)
        out->block_s[k] = t->blocks[k].seconds;
    return st;
}

static bw_status quickest(lap *out, bw_trainer *t, const float *views, const int *labels)
{
    lap now;
    bw_status st = one_step(out, t, views, labels);
    if (st != BW_OK || out->step_s > ENOUGH_S) return st;
    double spent = 0.0;
    for (int i = 0; i < MOST_REPEATS && spent < ENOUGH_S; i++) {
        st = one_step(&now, t, views, labels);
        if (st != BW_OK) return st;
        spent += now.step_s;
        for (int k = 0; k < now.blocks; k++)
            out->block_s[k] = i == 0 ? now.block_s[k] : fmin(out->block_s[k], now.block_s[k]);
        out->step_s = i == 0 ? now.step_s : fmin(out->step_s, now.step_s);
    }
    return BW_OK;
}

static bw_status time_batch(lap *out, bw_network *network, int64_t batch)
{
    bw_status st = BW_OK;
    bw_trainer *t = NULL;
    float *views = NULL;
    int *labels = NULL;
    int64_t pixels = network->config.data.image_size * network->config.data.image_size * 3;
    network->config.train.batch = batch;
    BW_TRY(bw_trainer_create(&t, network, 1));
    BW_TRY(BW_ALLOC(&views, BW_VIEWS * batch * pixels));
    BW_TRY(BW_ALLOC(&labels, batch));
    bw_rng rng = bw__rng(network->config.seed, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, views, BW_VIEWS * batch * pixels);
    t->part_rate = STANDING_STILL;
    BW_TRY(quickest(out, t, views, labels));
out:
    bw__free(labels);
    bw__free(views);
    bw_trainer_free(t);
    return st;
}

/* The line through both laps. Noise of the clock must not make a cost negative. */
static void fit(bw_block_costs *out, const lap *small, const lap *large)
{
    double span = (double)(out->images[1] - out->images[0]);
    for (int k = 0; k < out->blocks; k++) {
        double slope = fmax((large->block_s[k] - small->block_s[k]) / span, 0.0);
        slope = fmin(slope, large->block_s[k] / (double)out->images[1]);
        out->image_s[k] = slope;
        out->constant_s[k] = large->block_s[k] - slope * (double)out->images[1];
    }
}

bw_status bw__block_costs(bw_block_costs *out, const bw_config *config)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_config c = *config;
    lap small, large;
    double begin = bw__now_s();
    *out = (bw_block_costs){ .threads = c.threads, .images = { SMALL_BATCH, 2 * SMALL_BATCH } };
    c.train.split = 1;
    c.train.steps = -1;
    c.health.every = 0; /* measures of the embeddings belong to a few steps only */
    if (c.train.order == BW_ORDER_SEQUENTIAL) c.train.order = BW_ORDER_SIMULTANEOUS;
    BW_TRY(bw_network_create(&network, &c));
    BW_TRY(time_batch(&small, network, SMALL_BATCH));
    int64_t batch = (int64_t)((double)SMALL_BATCH * LARGE_STEP_S / small.step_s);
    if (batch > config->train.batch) batch = config->train.batch;
    if (batch > out->images[1]) out->images[1] = batch;
    BW_TRY(time_batch(&large, network, out->images[1]));
    out->blocks = large.blocks;
    fit(out, &small, &large);
out:
    bw_network_free(network);
    out->seconds = bw__now_s() - begin;
    return st;
}
