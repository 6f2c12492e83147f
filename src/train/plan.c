/* What a run will need. Nothing here knows the network: an outline of it, without weights, goes through the
 * trainer's own dry step, and this file adds up. */
#include "blockwise/plan.h"
#include "base/available.h"
#include "base/error.h"
#include "data/loader.h"
#include "model/network_internal.h"
#include "train/online_score.h"
#include "train/relay.h"
#include "train/trainer_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a run touches beyond what is resident when its kernels have just been made: code of this program and
 * of the libraries, stacks, buffers for files. Between what was measured with oneDNN 2.6.3: 3 to 5 MB on
 * AVX2, 7 to 8 MB on AVX-512. */
static const int64_t RUNNING_BYTES = 5500000;
/* What a loader thread keeps beside its batches, in views of one image: a decoded photograph of a few times
 * their size, and the planes of its resampling. Larger photographs take more. */
static const int64_t LOADER_THREAD_VIEWS = 20;
static const int64_t SMALLEST_BATCH = 2, LARGEST_BATCH = 1 << 20; /* as the schema has it */
static const int64_t RESERVE = 100;                               /* one part in so many is left free */

static void add_block(bw_plan *out, const bw_network *network, const bw_trainer *trainer, int k)
{
    const bw_params *params = &network->params[k];
    const bw_trained_block *b = &trainer->blocks[k];
    bw_plan_block *block = &out->block[k];
    for (int i = 0; i < params->n; i++) {
        const bw_param *p = &params->items[i];
        if (!bw__param_is_trained(p)) continue;
        int64_t *sum = p->part == BW_PART_TRUNK  ? &block->trunk_parameters
                       : p->part == BW_PART_HEAD ? &block->head_parameters
                                                 : &block->projector_parameters;
        *sum += p->count;
    }
    bool learns = b->loss != NULL;
    int64_t states = !learns ? 0 : b->optimizer.name == BW_OPTIMIZER_ADAMW ? 2 : 1;
    if (k >= trainer->first && k < trainer->created)
        block->flops = bw__trainer_block_flops(trainer, k, learns);
    block->saved_bytes = (int64_t)b->saved_bytes;
    block->arena_bytes = (int64_t)b->arena_bytes;
    out->parameters += params->trained;
    out->weight_bytes += (params->total + states * params->trained) * (int64_t)sizeof(float);
}

/* Everything but process_bytes and the sum; begin: of the rows, or NULL for even ones. */
static bw_status count_row(bw_plan *out, const bw_config *config, const int *begin, int row,
                           int64_t *process_bytes)
{
    bw_status st = BW_OK;
    bw_grid grid;
    bw_config own = *config; /* what this rank loads */
    bw_network *network = NULL;
    bw_trainer *trainer = NULL;
    *out = (bw_plan){ 0 };
    BW_TRY(bw__network_outline(&network, config)); /* first: it refuses a config that is not resolved */
    BW_TRY(bw__grid_outline(&grid, config));
    if (begin) BW_TRY(bw__grid_set_rows(&grid, begin));
    grid.row = row;
    own.train.batch = bw__grid_images(&grid, config);
    BW_TRY(bw__trainer_outline(&trainer, network, &grid));
    out->blocks = network->blocks;
    for (int k = 0; k < network->blocks; k++)
        add_block(out, network, trainer, k);
    out->flops = bw_trainer_flops(trainer);
    out->repeated_flops = bw__trainer_repeated_flops(trainer);
    out->weight_bytes += bw__trainer_gradient_bytes(trainer);
    out->arena_bytes = (int64_t)trainer->exec.arena.peak;
    out->input_bytes = (row == 0 ? bw__loader_bytes(&own) : 0) + bw__relay_bytes(trainer);
    if (trainer->probe) {
        int64_t scoring;
        BW_TRY(bw__online_score_bytes(&scoring, network));
        out->weight_bytes += bw__online_probe_bytes(trainer->probe);
        out->input_bytes += scoring;
    }
    if (process_bytes) *process_bytes = bw__rss_bytes(); /* while the kernels are there */
out:
    bw_trainer_free(trainer);
    bw_network_free(network);
    return st;
}

static bw_status count(bw_plan *out, const bw_config *config, int64_t *process_bytes)
{
    return count_row(out, config, NULL, 0, process_bytes);
}

static void sum_up(bw_plan *plan, int64_t process_bytes)
{
    plan->process_bytes = process_bytes;
    plan->peak_bytes = plan->weight_bytes + plan->arena_bytes + plan->input_bytes + process_bytes;
}

/* Of a process that has `resident` now. */
static int64_t running_bytes(const bw_config *config, int64_t resident)
{
    return resident + RUNNING_BYTES +
           config->data.threads * LOADER_THREAD_VIEWS * 3 * config->data.image_size * config->data.image_size;
}

static bw_status make(bw_plan *out, const bw_config *config, const int *begin, int row)
{
    int64_t process_bytes = 0;
    bw_status st = count_row(out, config, begin, row, &process_bytes);
    if (st == BW_OK) sum_up(out, running_bytes(config, process_bytes));
    return st;
}

bw_status bw_plan_make(bw_plan *out, const bw_config *config)
{
    return make(out, config, NULL, 0);
}

bw_status bw_plan_make_row(bw_plan *out, const bw_config *config, const int *begin, int row)
{
    if (row < 0 || row >= config->parallel.block)
        return bw_fail(BW_EINVAL, "row %d: there are %lld, counted from 0", row,
                       (long long)config->parallel.block);
    return make(out, config, begin, row);
}

/* The batch must be a multiple of this. */
static int64_t shares(const bw_config *config)
{
    return config->train.split * (config->parallel.data > 0 ? config->parallel.data : 1);
}

/* `batch`: images of one part of train.split on one rank.
 * Kernels that were made for other batches stay in oneDNN's cache, so `process_bytes` is of the first plan.
 * INT64_MAX: some tensor is larger than layers can count. */
static bw_status peak_of_batch(int64_t *out, const bw_config *config, int64_t batch, int64_t process_bytes)
{
    bw_plan plan;
    bw_config c = *config;
    c.train.batch = batch * shares(config);
    bw_status st = count(&plan, &c, NULL);
    *out = INT64_MAX;
    if (st == BW_ENOMEM) return BW_OK;
    if (st != BW_OK) return st;
    sum_up(&plan, process_bytes);
    *out = plan.peak_bytes;
    return BW_OK;
}

/* Memory grows all but linearly with the batch, so the interpolated batch is the right one or next to it. */
static bw_status largest_batch(int64_t *out, const bw_config *config, int64_t bytes, int64_t process_bytes)
{
    bw_status st = BW_OK;
    int64_t fits = SMALLEST_BATCH, too_large = 2 * SMALLEST_BATCH, least = 0, most = 0;
    *out = 0;
    BW_TRY(peak_of_batch(&least, config, fits, process_bytes));
    if (least > bytes) return BW_OK;
    for (;; too_large *= 2) {
        BW_TRY(peak_of_batch(&most, config, too_large, process_bytes));
        if (most > bytes) break;
        fits = too_large;
        least = most;
        if (too_large > LARGEST_BATCH / 2 / shares(config)) break;
    }
    while (too_large - fits > 1 && most > bytes) {
        double share = most == INT64_MAX ? 0.5 : (double)(bytes - least) / (double)(most - least);
        int64_t batch = fits + (int64_t)(share * (double)(too_large - fits)), peak;
        if (batch <= fits) batch = fits + 1;
        if (batch >= too_large) batch = too_large - 1;
        BW_TRY(peak_of_batch(&peak, config, batch, process_bytes));
        int64_t *end = peak <= bytes ? &fits : &too_large;
        *end = batch;
        *(peak <= bytes ? &least : &most) = peak;
    }
    *out = fits * shares(config);
out:
    return st;
}

bw_status bw_plan_largest_batch(int64_t *out, const bw_config *config, int64_t bytes)
{
    bw_plan plan;
    bw_status st = bw_plan_make(&plan, config);
    *out = 0;
    if (st == BW_ENOMEM) plan.process_bytes = running_bytes(config, bw__rss_bytes());
    return st == BW_OK || st == BW_ENOMEM ? largest_batch(out, config, bytes, plan.process_bytes) : st;
}

static bw_available available(const bw_config *config)
{
    return bw__available_memory("", config->threads - 1 + config->data.threads);
}

int64_t bw_available_bytes(void)
{
    return bw__available_memory("", 0).bytes;
}

static const char *bytes_text(char *text, size_t size, int64_t bytes)
{
    if (bytes >= 1000000000)
        (void)snprintf(text, size, "%.1f GB", (double)bytes * 1e-9);
    else
        (void)snprintf(text, size, "%.0f MB", (double)bytes * 1e-6);
    return text;
}

/* The fewest parts, by doubling, in which the batch fits as it is; 0: none do. */
static bw_status fewest_parts(int64_t *out, const bw_config *config, int64_t bytes, int64_t process_bytes)
{
    bw_config c = *config;
    int64_t batch = config->train.batch / (shares(config) / config->train.split), peak = 0;
    *out = 0;
    for (c.train.split *= 2; batch % c.train.split == 0 && batch / c.train.split >= SMALLEST_BATCH;
         c.train.split *= 2) {
        bw_status st = peak_of_batch(&peak, &c, batch / c.train.split, process_bytes);
        if (st != BW_OK) return st;
        if (peak > bytes) continue;
        *out = c.train.split;
        break;
    }
    return BW_OK;
}

/* "the largest train.batch that fits is 96 (128 with train.recompute: true); in parts, with ..." */
static bw_status advice(char *text, size_t size, const bw_config *config, const bw_plan *plan, int64_t bytes)
{
    bw_status st = BW_OK;
    int64_t batch = 0, recomputed = 0, parts = 0;
    bytes -= bytes / RESERVE; /* what is free changes from moment to moment */
    BW_TRY(largest_batch(&batch, config, bytes, plan->process_bytes));
    if (!config->train.recompute) {
        bw_config c = *config;
        c.train.recompute = true;
        BW_TRY(largest_batch(&recomputed, &c, bytes, plan->process_bytes));
    }
    if (batch > 0 && recomputed > batch)
        (void)snprintf(text, size,
                       "the largest train.batch that fits is %" PRId64 " (%" PRId64
                       " with train.recompute: true)",
                       batch, recomputed);
    else if (batch > 0)
        (void)snprintf(text, size, "the largest train.batch that fits is %" PRId64, batch);
    else if (recomputed > 0)
        (void)snprintf(text, size,
                       "no batch fits; with train.recompute: true the largest train.batch is %" PRId64,
                       recomputed);
    else
        (void)snprintf(text, size,
                       "no batch fits; set smaller projector.widths, model.width or data.image_size");
    BW_TRY(fewest_parts(&parts, config, bytes, plan->process_bytes));
    size_t used = strlen(text);
    if (parts > 0)
        (void)snprintf(text + used, size - used,
                       "; in parts, with train.split: %" PRId64 ", this one fits too", parts);
out:
    return st;
}

bw_status bw_plan_check(const bw_config *config)
{
    bw_plan plan;
    char hint[256], needs[32], has[32], why[512] = "";
    bw_status st = bw_plan_make(&plan, config);
    if (st != BW_OK && st != BW_ENOMEM) return st;
    bw_available there = available(config);
    if (st == BW_ENOMEM) {
        (void)snprintf(why, sizeof why, "%s", bw_last_error());
        plan.process_bytes = running_bytes(config, bw__rss_bytes());
        st = advice(hint, sizeof hint, config, &plan, there.bytes);
        if (st != BW_OK) return st;
        return bw_fail(BW_ENOMEM, "train.batch %" PRId64 ": %s; %s", config->train.batch, why, hint);
    }
    if (plan.peak_bytes <= there.bytes) return BW_OK;
    st = advice(hint, sizeof hint, config, &plan, there.bytes);
    if (st != BW_OK) return st;
    return bw_fail(BW_ENOMEM, "train.batch %" PRId64 " needs about %s, %s are available %s; %s",
                   config->train.batch, bytes_text(needs, sizeof needs, plan.peak_bytes),
                   bytes_text(has, sizeof has, there.bytes), there.limit, hint);
}

double bw_plan_step_s(const bw_plan *plan, double gflops)
{
    return (double)(plan->flops + plan->repeated_flops) / (BW_PLAN_SHARE * gflops * 1e9);
}
