#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/network_internal.h"
#include "train/balance.h"
#include "train/trainer_internal.h"
#include <math.h>

static const int64_t SMALL_BATCH = 2;
/* The larger batch is one whose step takes about so long, and at least twice the smaller one. Of each block:
 */
static const double LARGE_STEP_S = 0.2;
/* Steps are repeated until they have taken so long together; the quickest counts, since everything else on
 * the machine only adds to it. One that takes longer needs no other to warm up before it. */
static const double ENOUGH_S = 0.2;
enum { MOST_REPEATS = 6 };
/* Updates are done with a rate of 0: so few images could not stand the run's. */
static const double STANDING_STILL[] = {
    [BW_PART_TRUNK] = 0.0, [BW_PART_HEAD] = 0.0, [BW_PART_PROJECTOR] = 0.0
};

/* Seconds of one step of the one block that `t` has. */
static bw_status one_step(double *seconds, bw_trainer *t, const float *in, const int *labels)
{
    bw_step step;
    double begin = bw__now_s();
    bw_status st = bw_trainer_step(t, &step, in, labels);
    *seconds = bw__now_s() - begin;
    return st;
}

static bw_status quickest(double *seconds, bw_trainer *t, const float *in, const int *labels)
{
    bw_status st = one_step(seconds, t, in, labels);
    if (st != BW_OK || *seconds > ENOUGH_S) return st;
    double spent = 0.0, now;
    for (int i = 0; i < MOST_REPEATS && spent < ENOUGH_S; i++) {
        st = one_step(&now, t, in, labels);
        if (st != BW_OK) return st;
        spent += now;
        *seconds = i == 0 ? now : fmin(*seconds, now);
    }
    return BW_OK;
}

/* Its input is noise in place of what the block before would give. */
static bw_status time_batch(double *seconds, bw_network *network, const bw_grid *grid, int64_t batch)
{
    bw_status st = BW_OK;
    bw_trainer *t = NULL;
    float *in = NULL;
    int *labels = NULL;
    network->config.train.batch = batch;
    BW_TRY(bw__trainer_create_on(&t, network, 1, grid));
    const int64_t count = bw__trainer_input_count(t);
    BW_TRY(BW_ALLOC(&in, count));
    BW_TRY(BW_ALLOC(&labels, batch));
    bw_rng rng = bw__rng(network->config.seed, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, in, count);
    t->part_rate = STANDING_STILL;
    BW_TRY(quickest(seconds, t, in, labels));
out:
    bw__free(labels);
    bw__free(in);
    bw_trainer_free(t);
    return st;
}

/* The line through both times. Noise of the clock must not make a cost negative. */
static void fit(bw_block_costs *out, int k, double small_s, double large_s)
{
    const int64_t *images = out->images[k];
    double slope = fmax((large_s - small_s) / (double)(images[1] - images[0]), 0.0);
    out->image_s[k] = fmin(slope, large_s / (double)images[1]);
    out->constant_s[k] = large_s - out->image_s[k] * (double)images[1];
}

static bw_status measure_block(bw_block_costs *out, const bw_config *config, int k, int64_t most)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_grid grid = { .data = 1, .rows = out->blocks, .row = k };
    double small_s = 0.0, large_s = 0.0;
    for (int r = 0; r <= out->blocks; r++)
        grid.begin[r] = r;
    BW_TRY(bw__network_create_share(&network, config, k, k + 1));
    BW_TRY(time_batch(&small_s, network, &grid, SMALL_BATCH));
    int64_t batch = (int64_t)((double)SMALL_BATCH * LARGE_STEP_S / small_s);
    if (batch > most) batch = most;
    out->images[k][0] = SMALL_BATCH;
    out->images[k][1] = batch > 2 * SMALL_BATCH ? batch : 2 * SMALL_BATCH;
    BW_TRY(time_batch(&large_s, network, &grid, out->images[k][1]));
    fit(out, k, small_s, large_s);
out:
    bw_network_free(network);
    return st;
}

/* A program's rule is called in training alone, where it may keep state or refuse so few images. */
static void stand_in(bw_loss_config *loss)
{
    if (loss->name == BW_LOSS_CUSTOM) loss->name = BW_LOSS_BARLOW_TWINS;
}

bw_status bw__block_costs(bw_block_costs *out, const bw_config *config)
{
    bw_status st = BW_OK;
    bw_config c = *config;
    bw_phases phases;
    const double begin = bw__now_s();
    *out = (bw_block_costs){ .threads = c.threads };
    c.train.split = 1;
    c.train.steps = -1;
    c.health.every = 0; /* measures of the embeddings belong to a few steps only */
    stand_in(&c.loss);
    for (int k = 0; k < BW_MAX_BLOCKS; k++)
        stand_in(&c.block[k].loss);
    if (c.train.order == BW_ORDER_SEQUENTIAL) c.train.order = BW_ORDER_SIMULTANEOUS;
    bw__phases(&phases, &c, bw__config_blocks(&c), 1);
    out->blocks = phases.at[0].last + 1;
    for (int k = 0; k < out->blocks; k++)
        BW_TRY(measure_block(out, &c, k, config->train.batch));
out:
    out->seconds = bw__now_s() - begin;
    return st;
}
