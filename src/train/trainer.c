#include "train/trainer_internal.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/network_internal.h"
#include "nn/elementwise.h"
#include "train/health.h"
#include "train/optimizer.h"
#include <math.h>
#include <string.h>

/* eps of one sample of one block: keyed by step, sample within the batch, block and view, so that any number
 * of threads or ranks draws the same noise, and the backward pass can draw it again. */
static void draw_eps(const void *user, float *eps, int64_t n, int64_t count)
{
    const bw_trained_block *b = user;
    int64_t per_view = b->block.noise.n;
    uint32_t view = (uint32_t)(n / per_view);
    bw_rng r = bw__rng(b->trainer->network->config.seed, BW_RNG_NOISE, (uint64_t)b->trainer->steps_done,
                       (uint64_t)(n % per_view), (uint32_t)b->index * BW_VIEWS + view);
    bw__rng_normal_f32(&r, eps, count);
}

static bw_run block_run(bw_trainer *t, int k)
{
    return (bw_run){ .x = &t->exec,
                     .params = &t->network->params[k],
                     .grads = t->grads,
                     .training = true,
                     .recompute = t->network->config.train.recompute };
}

/* Forward of block k on the side its input lies on; the output goes to the other side. */
static bw_status forward_block(bw_trainer *t, int k, const void *in, bw_side side)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_run run = block_run(t, k);
    b->side = side;
    b->in = in;
    t->exec.side = side;
    b->out = bw__arena_take(&t->exec.arena, side == BW_LOW ? BW_HIGH : BW_LOW,
                            (size_t)b->block.out_count * bw__type_size(t->exec.type));
    BW_TRY(bw__block_forward(&b->block, &run, b->out, &b->z, in));
    b->saved_bytes = t->exec.arena.used[side];
    if (!bw__exec_is_dry(&t->exec)) t->network->params[k].batches_tracked += BW_VIEWS;
    if (t->on_forward) t->on_forward(t->user, k);
out:
    return st;
}

/* Forward of block k that does not learn in this phase: evaluation mode, without noise. Nothing of it changes
 * and nothing is saved. */
static bw_status pass_block(bw_trainer *t, int k, const void *in, bw_side side)
{
    bw_trained_block *b = &t->blocks[k];
    bw_run run = block_run(t, k);
    run.training = false;
    t->exec.side = side;
    b->out = bw__arena_take(&t->exec.arena, side == BW_LOW ? BW_HIGH : BW_LOW,
                            (size_t)b->block.out_count * bw__type_size(t->exec.type));
    return bw__trunk_forward(&b->block.trunk, &run, b->out, in);
}

static bw_status measure_health(bw_trainer *t, bw_step *out, int k)
{
    bw_health h;
    const bw_trained_block *b = &t->blocks[k];
    const bw_block_spec *s = b->block.spec;
    const bw_trunk *trunk = &b->block.trunk;
    bool noisy = b->block.noise.kind != BW_NOISE_NONE;
    bw_status st = bw__health(&h, &t->exec, b->z, b->block.noise.n, s->linear[s->n_linear - 1].oc);
    if (st != BW_OK) return st;
    out->embedding_std[k] = h.embedding_std;
    out->effective_rank[k] = h.effective_rank;
    out->effective_rank_max[k] = h.effective_rank_max;
    out->dead_channels[k] = bw__dead_channels(&t->exec, noisy ? trunk->unit_out[s->n_units - 1] : b->out,
                                              b->block.n, trunk->out_h * trunk->out_w, s->out_c);
    return BW_OK;
}

/* Places the terms of block k's loss in the rows of their names. */
static void note_terms(bw_step *out, const bw_loss_value *value, bw_loss_name loss, int k)
{
    const char *const *name = bw__loss_terms(loss);
    for (int i = 0; name[i]; i++) {
        int row = 0;
        while (row < out->terms && strcmp(out->term_name[row], name[i]) != 0)
            row++;
        BW_ASSERT(row < BW_MAX_TERMS);
        if (row == out->terms) {
            out->term_name[out->terms++] = name[i];
            for (int j = 0; j < out->blocks; j++)
                out->term[row][j] = (double)NAN;
        }
        out->term[row][k] = value->term[i];
    }
}

static double learning_rate(const bw_trainer *t, int k)
{
    return bw__schedule_lr(&t->blocks[k].schedule, t->steps_done - t->phase->begin);
}

/* Loss, backward and update of block k. */
static bw_status learn_block(bw_trainer *t, bw_step *out, int k)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_params *params = &t->network->params[k];
    bw_run run = block_run(t, k);
    bw_loss_value loss = { 0 };
    bool dry = bw__exec_is_dry(&t->exec);
    double begin;
    t->exec.side = b->side;
    b->diff_z =
        bw__exec_take_f32(&t->exec, b->block.n * b->block.spec->linear[b->block.spec->n_linear - 1].oc);
    BW_TRY(bw__loss_run(b->loss, &t->exec, &loss, b->diff_z, b->z, t->labels));
    if (out->has_health) BW_TRY(measure_health(t, out, k));
    BW_TRY(bw__block_backward(&b->block, &run, b->diff_z, b->in, b->out));
    out->loss[k] = loss.total;
    note_terms(out, &loss, bw_config_block(&t->network->config, k).loss.name, k);
    if (dry) goto out;
    begin = bw__profile_begin(&t->exec);
    out->grad_norm[k] = bw__norm(t->grads, params->trained, t->exec.threads);
    if (!isfinite(out->grad_norm[k])) BW_TRY(bw_fail(BW_ENONFINITE, "the gradient is not finite"));
    if (t->on_grads) t->on_grads(t->user, k, t->grads);
    if (!t->no_update)
        bw__optimizer_update(params, t->grads, learning_rate(t, k), t->steps_done - t->phase->begin + 1,
                             &b->optimizer, t->exec.threads);
    bw__profile_end(&t->exec, begin, "optimizer", "update", 0);
out:
    if (st == BW_ENONFINITE)
        return bw_fail_prefix(st, "training diverged at step %lld, block %d", (long long)t->steps_done + 1,
                              k + 1);
    return st;
}

static void note_lap(bw_trainer *t, int k)
{
    bw_trained_block *b = &t->blocks[k];
    if (t->exec.arena.lap > b->arena_bytes) b->arena_bytes = t->exec.arena.lap;
}

static void release_side(bw_trainer *t, bw_side side)
{
    bw__arena_release(&t->exec.arena, side, 0);
}

/* The views in the type of activations: themselves, or a copy on the first block's side. */
static const void *input_of_type(bw_trainer *t, const float *views)
{
    const bw_config *c = &t->network->config;
    if (t->exec.type == BW_F32) return views;
    int64_t count = BW_VIEWS * c->train.batch * c->data.image_size * c->data.image_size * 3;
    t->exec.side = BW_LOW;
    void *copy = bw__exec_take(&t->exec, count);
    bw__from_f32(&t->exec, t->exec.type, copy, views, count);
    return copy;
}

/* One step over whatever arena the trainer has. Blocks work on alternate sides: a block's input lies at the
 * bottom of its side with everything it saves above, its output on the other side. The phase says which of
 * them learn: all orders of training are this loop. */
static bw_status step_blocks(bw_trainer *t, bw_step *out, const float *views)
{
    bw_status st = BW_OK;
    const bw_phase *phase = t->phase;
    const void *in = input_of_type(t, views);
    for (int k = 0; k <= phase->last; k++) {
        bw_side side = k % 2 ? BW_HIGH : BW_LOW;
        t->exec.arena.lap = 0;
        BW_TRY(phase->learns[k] ? forward_block(t, k, in, side) : pass_block(t, k, in, side));
        if (!t->all_forwards_first) {
            if (phase->learns[k]) BW_TRY(learn_block(t, out, k));
            note_lap(t, k);
            release_side(t, side);
        }
        in = t->blocks[k].out;
    }
    for (int k = phase->last; k >= 0 && t->all_forwards_first; k--)
        if (phase->learns[k]) BW_TRY(learn_block(t, out, k));
out:
    release_side(t, BW_LOW);
    release_side(t, BW_HIGH);
    return st;
}

/* Sizes the arena by a step of every phase over a dry one. */
static bw_status size_arena(bw_trainer *t)
{
    bw_status st = BW_OK;
    bw_step ignored = { .blocks = t->network->blocks, .has_health = t->network->config.health.every > 0 };
    bw__arena_destroy(&t->exec.arena);
    t->exec.arena = bw__arena_dry();
    for (int i = 0; st == BW_OK && i < t->phases.n; i++) {
        t->phase = &t->phases.at[i];
        st = step_blocks(t, &ignored, NULL);
    }
    return st;
}

/* What a block that learns keeps from step to step. */
static bw_status create_state(bw_params *params, const bw_optimizer_config *optimizer)
{
    bw_status st = BW_OK;
    if (!params->momenta) BW_TRY(BW_ALLOC(&params->momenta, params->trained));
    if (optimizer->name == BW_OPTIMIZER_ADAMW && !params->squares)
        BW_TRY(BW_ALLOC(&params->squares, params->trained));
out:
    return st;
}

static bw_status create_learning(bw_trainer *t, int k, const bw_block_config *config)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_network *net = t->network;
    const bw_phase *phase = bw__phases_of(&t->phases, k);
    const bw_block_spec *spec = &net->spec[k];
    b->block.noise.eps = draw_eps;
    b->block.noise.user = b;
    b->optimizer = config->optimizer;
    b->schedule = bw__schedule(&net->config, &b->optimizer, t->steps_per_epoch, phase->end - phase->begin);
    BW_TRY(bw__loss_create(&b->loss, &t->exec, &config->loss, net->config.train.batch,
                           spec->linear[spec->n_linear - 1].oc));
    if (!net->outline) BW_TRY(create_state(&net->params[k], &b->optimizer));
out:
    return st;
}

static bw_status create_block(bw_trainer *t, int k, int64_t *h, int64_t *w)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_network *net = t->network;
    bw_block_config config = bw_config_block(&net->config, k);
    bool learns = bw__phases_of(&t->phases, k) != NULL;
    b->trainer = t;
    b->index = k;
    BW_TRY(bw__block_create(&b->block, &t->exec, &net->spec[k], &config, BW_VIEWS, net->config.train.batch,
                            *h, *w, learns, learns));
    if (learns) BW_TRY(create_learning(t, k, &config));
    *h = b->block.trunk.out_h;
    *w = b->block.trunk.out_w;
out:
    return st;
}

/* For --verbose. */
static void describe_blocks(const bw_trainer *t)
{
    for (int k = 0; k < t->created; k++) {
        const bw_trained_block *b = &t->blocks[k];
        const bw_trunk *trunk = &b->block.trunk;
        bool learns = b->loss != NULL;
        bw_log(BW_LOG_DEBUG,
               "block %d: %lld x %lld pixels to %lld x %lld x %lld, %.2f GFLOP a step, head %s, "
               "%.1f MB saved, %.1f MB at most",
               k + 1, (long long)trunk->in_h, (long long)trunk->in_w, (long long)trunk->out_h,
               (long long)trunk->out_w, (long long)b->block.spec->out_c,
               (double)bw__trainer_block_flops(t, k, learns) * 1e-9,
               learns ? bw__head_form(&b->block.head) : "not used: frozen", (double)b->saved_bytes * 1e-6,
               (double)b->arena_bytes * 1e-6);
    }
}

/* Floats of the gradient of the largest block that learns. */
static int64_t largest_gradient(const bw_trainer *t)
{
    int64_t largest = 0;
    for (int k = 0; k < t->created; k++)
        if (t->blocks[k].loss && t->network->params[k].trained > largest)
            largest = t->network->params[k].trained;
    return largest;
}

static bw_status create(bw_trainer **out, bw_network *network, int64_t steps_per_epoch)
{
    bw_status st = BW_OK;
    bw_trainer *t = NULL;
    int64_t h = network->config.data.image_size, w = h;
    *out = NULL;
    if (!network->has_heads) return bw_fail(BW_EINVAL, "the network has no heads, which training needs");
    if (steps_per_epoch < 1) return bw_fail(BW_EINVAL, "an epoch needs at least one step");
    BW_TRY(bw_compute_settle(&network->config));
    BW_TRY(BW_ALLOC(&t, 1));
    t->network = network;
    t->steps_per_epoch = steps_per_epoch;
    bw__phases(&t->phases, &network->config, network->blocks, steps_per_epoch);
    BW_TRY(bw__exec_create(&t->exec, network->config.threads));
    t->exec.type = network->config.dtype == BW_DTYPE_BF16 ? BW_BF16 : BW_F32;
    for (int k = 0; k <= t->phases.at[t->phases.n - 1].last; k++) {
        t->created = k + 1;
        BW_TRY(create_block(t, k, &h, &w));
    }
    if (network->outline)
        t->grads = bw__untouchable();
    else
        BW_TRY(BW_ALLOC(&t->grads, largest_gradient(t)));
    BW_TRY(size_arena(t));
    if (!network->outline) BW_TRY(bw__arena_create(&t->exec.arena, t->exec.arena.peak));
    *out = t;
    t = NULL;
out:
    bw_trainer_free(t);
    return st;
}

bw_status bw_trainer_create(bw_trainer **out, bw_network *network, int64_t steps_per_epoch)
{
    BW_ASSERT(!network->outline);
    bw_status st = create(out, network, steps_per_epoch);
    if (st == BW_OK) describe_blocks(*out);
    return st;
}

bw_status bw__trainer_outline(bw_trainer **out, bw_network *outline)
{
    BW_ASSERT(outline->outline);
    return create(out, outline, 1);
}

void bw_trainer_free(bw_trainer *t)
{
    if (!t) return;
    for (int k = 0; k < t->created; k++) {
        bw__block_destroy(&t->blocks[k].block);
        bw__loss_free(t->blocks[k].loss);
    }
    bw__exec_destroy(&t->exec);
    if (t->network && !t->network->outline) bw__free(t->grads);
    bw__free(t);
}

/* Of the first step of a phase too, where the blocks that learn have the weights they were drawn with, and of
 * its last. */
static bool measures_health(const bw_trainer *t, int64_t step)
{
    int64_t every = t->network->config.health.every;
    return every > 0 && (step == t->phase->begin + 1 || step % every == 0 || step == t->phase->end);
}

/* Of blocks that do not learn in this step. */
static void fill_with_nothing(bw_step *out)
{
    for (int k = 0; k < out->blocks; k++) {
        out->loss[k] = out->grad_norm[k] = (double)NAN;
        out->embedding_std[k] = out->dead_channels[k] = (double)NAN;
        out->effective_rank[k] = out->effective_rank_max[k] = (double)NAN;
    }
}

bw_status bw_trainer_step(bw_trainer *t, bw_step *out, const float *views, const int *labels)
{
    const bw_config *c = &t->network->config;
    double start = bw__now_s();
    t->phase = bw__phase_at(&t->phases, t->steps_done);
    *out = (bw_step){ .step = t->steps_done + 1,
                      .epoch = t->steps_done / t->steps_per_epoch,
                      .blocks = t->network->blocks,
                      .lr = learning_rate(t, bw__phase_first(t->phase)),
                      .has_health = measures_health(t, t->steps_done + 1) };
    fill_with_nothing(out);
    t->labels = labels;
    bw_status st = step_blocks(t, out, views);
    if (st != BW_OK) return st;
    t->steps_done++;
    out->samples_per_s = (double)c->train.batch / (bw__now_s() - start);
    out->peak_rss_mb = (double)bw__peak_rss_bytes() / 1e6;
    return BW_OK;
}

void bw__trainer_set_profile(bw_trainer *t, bw_profile *profile)
{
    t->exec.profile = profile;
}

int64_t bw_trainer_steps_done(const bw_trainer *t)
{
    return t->steps_done;
}

int64_t bw_trainer_steps_total(const bw_trainer *t)
{
    return t->phases.steps;
}

void bw__trainer_set_steps_done(bw_trainer *t, int64_t steps)
{
    t->steps_done = steps;
}

int64_t bw__trainer_block_flops(const bw_trainer *t, int k, bool learns)
{
    const bw_trained_block *b = &t->blocks[k];
    if (!learns) return bw__trunk_flops(&b->block.trunk, false);
    return bw__block_flops(&b->block) + bw__loss_flops(b->loss);
}

/* Mean over the phases, which have the same number of steps but for one. */
int64_t bw_trainer_flops(const bw_trainer *t)
{
    int64_t sum = 0;
    for (int i = 0; i < t->phases.n; i++)
        for (int k = 0; k <= t->phases.at[i].last; k++)
            sum += bw__trainer_block_flops(t, k, t->phases.at[i].learns[k]);
    return sum / t->phases.n;
}

int64_t bw__trainer_repeated_flops(const bw_trainer *t)
{
    int64_t sum = 0;
    for (int k = 0; k < t->created; k++)
        if (t->network->config.train.recompute && t->blocks[k].loss)
            sum += bw__trunk_repeated_flops(&t->blocks[k].block.trunk);
    return sum / t->phases.n;
}

int64_t bw__trainer_gradient_bytes(const bw_trainer *t)
{
    return largest_gradient(t) * (int64_t)sizeof(float);
}

int64_t bw_trainer_arena_bytes(const bw_trainer *t)
{
    return (int64_t)t->exec.arena.size;
}
