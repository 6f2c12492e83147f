#include "base/clock.h"
#include "base/memory.h"
#include "model/network_internal.h"
#include "nn/elementwise.h"
#include "train/learn.h"
#include "train/relay.h"
#include <math.h>
#include <string.h>

/* Down to what lies there for the whole batch. */
static void release_side(bw_trainer *t, bw_side side)
{
    bw__arena_release(&t->exec.arena, side, side == BW_LOW ? t->floor : 0);
}

/* The input of the first own block in the running part, in the type of activations: from the row before, or
 * the views: themselves, or a copy on that block's side. */
static bw_status input_of_part(bw_trainer *t, const void **in, const float *views)
{
    const bw_config *c = &t->network->config;
    const int64_t count = bw__trainer_input_count(t) / BW_VIEWS, whole = count * c->train.split;
    *in = views;
    if (t->relays_input) return bw__relay_receive(t, in);
    if (t->exec.type == BW_F32 && c->train.split == 1) return BW_OK;
    t->exec.side = BW_LOW;
    void *copy = bw__exec_take(&t->exec, BW_VIEWS * count);
    for (int v = 0; v < BW_VIEWS && !bw__exec_is_dry(&t->exec); v++) {
        const float *from = views + v * whole + t->part * count;
        void *to = bw__at(t->exec.type, copy, v * count);
        if (t->exec.type == BW_F32)
            memcpy(to, from, (size_t)count * sizeof *from);
        else
            bw__from_f32(&t->exec, t->exec.type, to, from, count);
    }
    *in = copy;
    return BW_OK;
}

/* The last own block that is run in a phase. */
static int last_block(const bw_trainer *t, const bw_phase *phase)
{
    return phase->last < t->created ? phase->last : t->created - 1;
}

/* One way through this rank's blocks, over whatever arena the trainer has. Blocks work on alternate sides: a
 * block's input lies at the bottom of its side with everything it saves above, its output on the other side.
 * The phase says which blocks learn, `learn` what that is: all orders of training are this loop, and so is
 * every row of a grid of ranks. */
static bw_status step_blocks(bw_trainer *t, bw_step *out, const float *views, bw_learn_fn learn)
{
    bw_status st = BW_OK;
    const bw_phase *phase = t->phase;
    const void *in = NULL;
    const int last = last_block(t, phase);
    BW_TRY(input_of_part(t, &in, views));
    for (int k = t->first; k <= last; k++) {
        bw_side side = (k - t->first) % 2 ? BW_HIGH : BW_LOW;
        double begin = bw__now_s();
        t->exec.arena.lap = 0;
        BW_TRY(phase->learns[k] ? bw__learn_forward(t, k, in, side) : bw__learn_pass(t, k, in, side));
        if (k == last) BW_TRY(bw__relay_pass_on(t, t->blocks[k].out));
        if (!t->all_forwards_first) {
            if (phase->learns[k]) BW_TRY(learn(t, out, k));
            bw__learn_note_lap(t, k);
            release_side(t, side);
            if (k == t->first) bw__relay_release(t);
        }
        BW_TRY(t->exec.remote);
        t->blocks[k].seconds = bw__now_s() - begin;
        in = t->blocks[k].out;
    }
    for (int k = last; k >= t->first && t->all_forwards_first; k--)
        if (phase->learns[k]) BW_TRY(learn(t, out, k));
    BW_TRY(bw__learn_finish(t, out));
out:
    release_side(t, BW_LOW);
    release_side(t, BW_HIGH);
    return st;
}

static bw_status for_blocks_that_learn(bw_trainer *t, bw_step *out, bw_learn_fn fn)
{
    bw_status st = BW_OK;
    for (int k = t->first; st == BW_OK && k <= last_block(t, t->phase); k++)
        if (t->phase->learns[k]) st = fn(t, out, k);
    return st;
}

static bw_status for_parts(bw_trainer *t, bw_step *out, const float *views, bw_learn_fn fn)
{
    bw_status st = BW_OK;
    for (t->part = 0; st == BW_OK && t->part < t->network->config.train.split; t->part++)
        st = step_blocks(t, out, views, fn);
    t->part = 0;
    return st;
}

static bw_status step(bw_trainer *t, bw_step *out, const float *views)
{
    bw_status st = BW_OK;
    if (t->network->config.train.split == 1) return step_blocks(t, out, views, bw__learn_block);
    bw__learn_prepare(t);
    t->floor = bw__arena_mark(&t->exec.arena, BW_LOW);
    t->looking = true;
    BW_TRY(for_parts(t, out, views, bw__learn_keep));
    t->looking = false;
    BW_TRY(for_blocks_that_learn(t, out, bw__learn_loss));
    BW_TRY(for_parts(t, out, views, bw__learn_add));
    BW_TRY(for_blocks_that_learn(t, out, bw__learn_update));
out:
    t->looking = false;
    t->floor = 0;
    release_side(t, BW_LOW);
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
        st = step(t, &ignored, NULL);
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
    bw_trained_block *b = &t->blocks[k];
    const bw_block_spec *spec = &t->network->spec[k];
    b->block.noise.eps = bw__learn_draw_eps;
    b->block.noise.user = b;
    bw_status st =
        bw__loss_create(&b->loss, &t->exec, &config->loss, t->batch, spec->linear[spec->n_linear - 1].oc);
    if (st == BW_OK) bw__loss_place(b->loss, t->network->config.seed, k, &t->steps_done);
    return st;
}

/* What a block that learns has on every rank, and its state on those whose network holds its values. */
static bw_status create_states(bw_trainer *t)
{
    bw_status st = BW_OK;
    bw_network *net = t->network;
    for (int k = 0; k < net->blocks; k++) {
        const bw_phase *phase = bw__phases_of(&t->phases, k);
        bw_trained_block *b = &t->blocks[k];
        if (!phase) continue;
        b->optimizer = bw_config_block(&net->config, k).optimizer;
        b->schedule =
            bw__schedule(&net->config, &b->optimizer, t->steps_per_epoch, phase->end - phase->begin);
        if (!net->outline && net->params[k].values) BW_TRY(create_state(&net->params[k], &b->optimizer));
    }
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
    BW_TRY(bw__block_create(&b->block, &t->exec, &net->spec[k], &config, BW_VIEWS,
                            t->batch / net->config.train.split, *h, *w, learns, learns));
    if (learns) BW_TRY(create_learning(t, k, &config));
    *h = b->block.trunk.out_h;
    *w = b->block.trunk.out_w;
out:
    return st;
}

/* For --verbose. */
static void describe_blocks(const bw_trainer *t)
{
    for (int k = t->first; k < t->created; k++) {
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
    for (int k = t->first; k < t->created; k++)
        if (t->blocks[k].loss && t->network->params[k].trained > largest)
            largest = t->network->params[k].trained;
    return largest;
}

/* With train.split: floats of the gradients of all blocks that learn at once. */
static int64_t summed_gradients(const bw_trainer *t)
{
    int64_t most = 0;
    for (int i = 0; t->network->config.train.split > 1 && i < t->phases.n; i++) {
        int64_t sum = 0;
        for (int k = t->first; k < t->created; k++)
            if (t->phases.at[i].learns[k]) sum += t->network->params[k].trained;
        if (sum > most) most = sum;
    }
    return most;
}

static bw_status create_gradients(bw_trainer *t)
{
    bw_status st = BW_OK;
    int64_t sums = summed_gradients(t);
    if (t->network->outline) {
        t->grads = t->sums = bw__untouchable();
        return BW_OK;
    }
    BW_TRY(BW_ALLOC(&t->grads, largest_gradient(t)));
    if (sums > 0) BW_TRY(BW_ALLOC(&t->sums, sums));
    BW_TRY(bw__comm_work_reserve(&t->summing, t->grid->batch, largest_gradient(t)));
    BW_TRY(bw__comm_work_reserve(&t->summing_head, t->grid->batch, largest_gradient(t)));
out:
    return st;
}

/* Whether this rank has the state of block k, its own or, for checkpoints, that of others. */
static bool keeps(const bw_trainer *t, int k)
{
    return !t->network->outline && t->network->params[k].values;
}

static bw_status create_probe(bw_trainer *t)
{
    const bw_config *c = &t->network->config;
    bool learns[BW_MAX_BLOCKS] = { false };
    for (int k = 0; k < t->network->blocks; k++)
        learns[k] = t->blocks[k].loss || (bw__phases_of(&t->phases, k) && keeps(t, k));
    return bw__online_probe_create(&t->probe, &t->exec, t->network, learns, t->batch / c->train.split);
}

/* Metrics have room for so many names of terms. */
static bw_status check_terms(const bw_network *network)
{
    const char *names[BW_MAX_TERMS];
    int n = 0;
    for (int k = 0; k < network->blocks; k++) {
        const bw_loss_config loss = bw_config_block(&network->config, k).loss;
        const char *const *terms = bw__loss_terms(&loss);
        for (int i = 0; terms[i]; i++) {
            int at = 0;
            while (at < n && strcmp(names[at], terms[i]) != 0)
                at++;
            if (at < n) continue;
            if (n == BW_MAX_TERMS)
                return bw_fail(
                    BW_EINVAL,
                    "the losses of the blocks have more than %d terms of different names; give rules "
                    "fewer, or the same names",
                    BW_MAX_TERMS);
            names[n++] = terms[i];
        }
    }
    return BW_OK;
}

/* Own blocks of those that are ever run. */
static bw_status create_blocks(bw_trainer *t)
{
    bw_status st = BW_OK;
    const bw_config *c = &t->network->config;
    const int run = t->phases.at[t->phases.n - 1].last + 1, end = bw__grid_end(t->grid);
    t->first = t->created = bw__grid_first(t->grid);
    t->relays_input = t->grid->row > 0 && t->grid->world;
    int64_t h = c->data.image_size;
    if (t->first > 0) h = bw__unit_size(c, bw__config_block_units(c, t->first).first - 1);
    for (int64_t w = h; t->created < run && t->created < end;) {
        BW_TRY(create_block(t, t->created++, &h, &w));
    }
out:
    return st;
}

static bw_status create(bw_trainer **out, bw_network *network, int64_t steps_per_epoch, const bw_grid *grid)
{
    bw_status st = BW_OK;
    bw_trainer *t = NULL;
    *out = NULL;
    if (!network->has_heads) return bw_fail(BW_EINVAL, "the network has no heads, which training needs");
    if (network->blocks != bw__config_blocks(&network->config) || network->borrows)
        return bw_fail(BW_EINVAL,
                       "the network is one for evaluation, cut into %d blocks; train one of "
                       "bw_network_create(), which bw_network_init_from() gives its weights",
                       network->blocks);
    if (steps_per_epoch < 1) return bw_fail(BW_EINVAL, "an epoch needs at least one step");
    BW_TRY(check_terms(network));
    BW_TRY(bw_compute_settle(&network->config));
    BW_TRY(BW_ALLOC(&t, 1));
    t->network = network;
    t->grid = grid;
    t->batch = bw__grid_images(grid, &network->config);
    t->summed = -1;
    t->steps_per_epoch = steps_per_epoch;
    bw__phases(&t->phases, &network->config, network->blocks, steps_per_epoch);
    BW_TRY(bw__exec_create(&t->exec, network->config.threads));
    t->exec.comm = grid->batch;
    if (network->outline && grid->data > 1) {
        BW_TRY(bw__comm_outline(&t->outline, grid->data));
        t->exec.comm = t->outline;
    }
    t->exec.type = network->config.dtype == BW_DTYPE_BF16 ? BW_BF16 : BW_F32;
    BW_TRY(create_blocks(t));
    BW_TRY(create_states(t));
    BW_TRY(create_gradients(t));
    if (network->config.probe.every > 0) BW_TRY(create_probe(t));
    BW_TRY(size_arena(t));
    if (!network->outline) BW_TRY(bw__arena_create(&t->exec.arena, t->exec.arena.peak));
    BW_TRY(bw__relay_create(&t->relay, t));
    *out = t;
    t = NULL;
out:
    bw_trainer_free(t);
    return st;
}

bw_status bw__trainer_create_on(bw_trainer **out, bw_network *network, int64_t steps_per_epoch,
                                const bw_grid *grid)
{
    BW_ASSERT(!network->outline);
    bw_status st = create(out, network, steps_per_epoch, grid);
    if (st == BW_OK && (grid->rows == 1 || grid->world)) describe_blocks(*out);
    return st;
}

static const bw_grid ALONE = { .data = 1, .rows = 1 };

bw_status bw_trainer_create(bw_trainer **out, bw_network *network, int64_t steps_per_epoch)
{
    return bw__trainer_create_on(out, network, steps_per_epoch, &ALONE);
}

bw_status bw__trainer_outline(bw_trainer **out, bw_network *outline, const bw_grid *grid)
{
    BW_ASSERT(outline->outline);
    return create(out, outline, 1, grid);
}

void bw_trainer_free(bw_trainer *t)
{
    if (!t) return;
    bw__relay_free(t->relay, t->failed);
    for (int k = t->first; k < t->created; k++) {
        bw__block_destroy(&t->blocks[k].block);
        bw__loss_free(t->blocks[k].loss);
    }
    bw__online_probe_free(t->probe);
    /* After a failure: MPI may still write there, so it stays. */
    bool summing = t->summing.begun || t->summing_head.begun;
    bw__comm_work_free(&t->summing);
    bw__comm_work_free(&t->summing_head);
    bw__comm_free(t->outline);
    bw__exec_destroy(&t->exec);
    if (t->network && !t->network->outline && !summing) {
        bw__free(t->grads);
        bw__free(t->sums);
    }
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
        out->probe_top1_train[k] = out->probe_top1[k] = (double)NAN;
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
                      .lr = bw__learn_rate(t, bw__phase_first(t->phase)),
                      .has_health = measures_health(t, t->steps_done + 1),
                      .has_probe = t->probe != NULL };
    fill_with_nothing(out);
    t->labels = labels;
    bw_status st = t->failed = step(t, out, views);
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

int64_t bw__trainer_input_count(const bw_trainer *t)
{
    const bw_block *b = &t->blocks[t->first].block;
    return b->n * b->trunk.in_h * b->trunk.in_w * b->spec->in_c;
}

int64_t bw__trainer_block_flops(const bw_trainer *t, int k, bool learns)
{
    const bw_trained_block *b = &t->blocks[k];
    int64_t parts = t->network->config.train.split;
    if (!learns) return parts * bw__trunk_flops(&b->block.trunk, false);
    return parts * bw__block_flops(&b->block) + bw__loss_flops(b->loss);
}

/* Mean over the phases, which have the same number of steps but for one. */
int64_t bw_trainer_flops(const bw_trainer *t)
{
    int64_t sum = 0;
    for (int i = 0; i < t->phases.n; i++)
        for (int k = t->first; k <= last_block(t, &t->phases.at[i]); k++)
            sum += bw__trainer_block_flops(t, k, t->phases.at[i].learns[k]);
    return sum / t->phases.n;
}

static int64_t repeated_flops(const bw_trainer *t, int k, bool learns)
{
    const bw_block *b = &t->blocks[k].block;
    const bool recompute = t->network->config.train.recompute && learns;
    int64_t parts = t->network->config.train.split, sum = recompute ? bw__trunk_repeated_flops(&b->trunk) : 0;
    if (parts > 1) sum += bw__trunk_flops(&b->trunk, false);
    if (parts > 1 && learns) sum += bw__head_flops(&b->head, false) + bw__projector_flops(&b->projector) / 3;
    return parts * sum;
}

int64_t bw__trainer_repeated_flops(const bw_trainer *t)
{
    int64_t sum = 0;
    for (int i = 0; i < t->phases.n; i++)
        for (int k = t->first; k <= last_block(t, &t->phases.at[i]); k++)
            sum += repeated_flops(t, k, t->phases.at[i].learns[k]);
    return sum / t->phases.n;
}

int64_t bw__trainer_gradient_bytes(const bw_trainer *t)
{
    return (largest_gradient(t) + summed_gradients(t)) * (int64_t)sizeof(float);
}

int64_t bw_trainer_arena_bytes(const bw_trainer *t)
{
    return (int64_t)t->exec.arena.size;
}
