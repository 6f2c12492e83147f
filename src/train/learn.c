#include "train/learn.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/trace.h"
#include "model/network_internal.h"
#include "nn/elementwise.h"
#include "train/health.h"
#include "train/optimizer.h"
#include <math.h>
#include <string.h>

/* eps of one sample of one block: keyed by step, sample within the batch, block and view, so that any number
 * of threads or ranks draws the same noise, and the backward pass can draw it again. */
void bw__learn_draw_eps(const void *user, float *eps, int64_t n, int64_t count)
{
    const bw_trained_block *b = user;
    int64_t per_view = b->block.noise.n;
    uint32_t view = (uint32_t)(n / per_view);
    const bw_grid *grid = b->trainer->grid; /* of whose ranks each has a piece of every part of the batch */
    int64_t image = (b->trainer->part * grid->data + grid->place) * per_view + n % per_view;
    bw_rng r = bw__rng(b->trainer->network->config.seed, BW_RNG_NOISE, (uint64_t)b->trainer->steps_done,
                       (uint64_t)image, (uint32_t)b->index * BW_VIEWS + view);
    bw__rng_normal_f32(&r, eps, count);
}

static bw_run block_run(bw_trainer *t, int k)
{
    return (bw_run){ .x = &t->exec,
                     .params = &t->network->params[k],
                     .grads = t->grads,
                     .training = true,
                     .look = t->looking,
                     .recompute = t->network->config.train.recompute };
}

/* The network's part of a step, where test hooks may take the other ranks away. */
static void leave_ranks(bw_trainer *t)
{
    if (t->wrong == BW_RANKS_LOCAL_STATISTICS) t->exec.comm = NULL;
}

static void join_ranks(bw_trainer *t)
{
    if (t->wrong == BW_RANKS_LOCAL_STATISTICS) t->exec.comm = t->grid->batch;
}

/* A span of a trace. */
static void note(const bw_trainer *t, const char *what, int k, double begin, double end)
{
    if (!bw__exec_is_dry(&t->exec)) bw__trace_add(BW_TRACK_BLOCKS, what, NULL, k, begin, end);
}

static bw_status forward_block(bw_trainer *t, bw_trained_block *b, const bw_run *run, const void *in)
{
    const double begin = bw__now_s();
    leave_ranks(t);
    bw_status st = bw__block_forward(&b->block, run, b->out, &b->z, in);
    join_ranks(t);
    note(t, "forward", b->index, begin, bw__now_s());
    return st;
}

static bw_status backward_block(bw_trainer *t, bw_trained_block *b, const bw_run *run)
{
    const double begin = bw__now_s();
    t->head_done_s = begin;
    leave_ranks(t);
    bw_status st = bw__block_backward(&b->block, run, b->diff_z, b->in, b->out);
    join_ranks(t);
    if (t->head_done_s > begin) note(t, "backward of head", b->index, begin, t->head_done_s);
    note(t, "backward of trunk", b->index, t->head_done_s, bw__now_s());
    return st;
}

bw_status bw__learn_forward(bw_trainer *t, int k, const void *in, bw_side side)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_run run = block_run(t, k);
    b->side = side;
    b->in = in;
    t->exec.side = side;
    b->out = bw__arena_take(&t->exec.arena, side == BW_LOW ? BW_HIGH : BW_LOW,
                            (size_t)b->block.out_count * bw__type_size(t->exec.type));
    BW_TRY(forward_block(t, b, &run, in));
    b->saved_bytes = t->exec.arena.used[side];
    if (t->looking) goto out;
    if (!bw__exec_is_dry(&t->exec)) t->network->params[k].batches_tracked += BW_VIEWS;
    if (t->on_forward) t->on_forward(t->user, k);
out:
    return st;
}

bw_status bw__learn_pass(bw_trainer *t, int k, const void *in, bw_side side)
{
    bw_trained_block *b = &t->blocks[k];
    bw_run run = block_run(t, k);
    run.training = run.look = false;
    t->exec.side = side;
    b->out = bw__arena_take(&t->exec.arena, side == BW_LOW ? BW_HIGH : BW_LOW,
                            (size_t)b->block.out_count * bw__type_size(t->exec.type));
    const double begin = bw__now_s();
    bw_status st = bw__trunk_forward(&b->block.trunk, &run, b->out, in);
    note(t, "forward, frozen", k, begin, bw__now_s());
    return st;
}

static int64_t width(const bw_trained_block *b)
{
    return b->block.spec->linear[b->block.spec->n_linear - 1].oc;
}

/* Health of the embeddings z of a whole batch, first view. */
static bw_status measure_embedding(bw_trainer *t, bw_step *out, int k, const float *z)
{
    bw_health h;
    bw_status st = bw__health(&h, &t->exec, z, t->batch, width(&t->blocks[k]));
    if (st != BW_OK) return st;
    out->embedding_std[k] = h.embedding_std;
    out->effective_rank[k] = h.effective_rank;
    out->effective_rank_max[k] = h.effective_rank_max;
    return BW_OK;
}

/* And of the block's output in the running part. */
static void measure_output(bw_trainer *t, bw_step *out, int k)
{
    const bw_trained_block *b = &t->blocks[k];
    const bw_block_spec *s = b->block.spec;
    const bw_trunk *trunk = &b->block.trunk;
    bool noisy = b->block.noise.kind != BW_NOISE_NONE;
    out->dead_channels[k] = bw__dead_channels(&t->exec, noisy ? trunk->unit_out[s->n_units - 1] : b->out,
                                              b->block.n, trunk->out_h * trunk->out_w, s->out_c);
}

/* One step of the online probe on the running part; its accuracy is the mean over parts. */
static bw_status teach_probe(bw_trainer *t, bw_step *out, int k)
{
    const bw_trained_block *b = &t->blocks[k];
    const int *labels = t->labels ? t->labels + t->part * (b->block.n / BW_VIEWS) : NULL;
    double done = t->steps_done < t->phase->end
                      ? (double)(t->steps_done - t->phase->begin) / (double)(t->phase->end - t->phase->begin)
                      : 1.0;
    double top1, part = (double)t->part, *mean = &out->probe_top1_train[k];
    bw_status st = bw__online_probe_learn(t->probe, &t->exec, &top1, k, b->block.h, labels, done);
    *mean = t->part == 0 ? top1 : (*mean * part + top1) / (part + 1.0);
    return st;
}

/* Places the terms of block k's loss in the rows of their names. */
static void note_terms(bw_step *out, const bw_loss_value *value, const bw_loss *loss, int k)
{
    const char *const *name = bw__loss_own_terms(loss);
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

double bw__learn_rate(const bw_trainer *t, int k)
{
    return bw__schedule_lr(&t->blocks[k].schedule, t->steps_done - t->phase->begin);
}

static bw_status diverged(bw_status st, const bw_trainer *t, int k)
{
    return st == BW_ENONFINITE ? bw_fail_prefix(st, "training diverged at step %lld, block %d",
                                                (long long)t->steps_done + 1, k + 1)
                               : st;
}

/* Loss of block k for the embeddings z of a whole batch, and its gradient. */
static bw_status find_loss(bw_trainer *t, bw_step *out, int k, float *diff_z, const float *z)
{
    bw_status st = BW_OK;
    bw_loss_value loss = { 0 };
    const double begin = bw__now_s();
    BW_TRY(bw__loss_run(t->blocks[k].loss, &t->exec, &loss, diff_z, z, t->labels));
    note(t, "loss", k, begin, bw__now_s());
    if (out->has_health) BW_TRY(measure_embedding(t, out, k, z));
    out->loss[k] = loss.total;
    note_terms(out, &loss, t->blocks[k].loss, k);
out:
    return diverged(st, t, k);
}

static bw_status update(bw_trainer *t, bw_step *out, int k, const float *grads)
{
    const bw_trained_block *b = &t->blocks[k];
    bw_params *params = &t->network->params[k];
    if (bw__exec_is_dry(&t->exec)) return BW_OK;
    double begin = bw__profile_begin(&t->exec), start = bw__now_s();
    out->grad_norm[k] = bw__norm(grads, params->trained, t->exec.threads);
    if (!isfinite(out->grad_norm[k]))
        return diverged(bw_fail(BW_ENONFINITE, "the gradient is not finite"), t, k);
    if (t->on_grads) t->on_grads(t->user, k, grads);
    if (!t->no_update)
        bw__optimizer_update_parts(params, grads, bw__learn_rate(t, k), t->part_rate,
                                   t->steps_done - t->phase->begin + 1, &b->optimizer, t->exec.threads);
    bw__profile_end(&t->exec, begin, "optimizer", "update", 0);
    note(t, "update", k, start, bw__now_s());
    return BW_OK;
}

/* Floats of a block's trunk, which come first among its parameters. */
static int64_t trunk_count(const bw_params *p)
{
    int64_t count = 0;
    for (int i = 0; i < p->n; i++)
        if (bw__param_is_trained(&p->items[i]) && p->items[i].part == BW_PART_TRUNK)
            count = p->items[i].offset + p->items[i].count;
    return count;
}

/* The loss is that of all ranks' images, and each has the part of its gradient that goes through its own: so
 * they are summed, not averaged. Goes on beside what follows, until bw__learn_finish(). `head`: what is
 * behind the trunk has begun. */
static bw_status sum_gradients(bw_trainer *t, int k, float *grads, bool head)
{
    const bw_params *p = &t->network->params[k];
    t->summed = k;
    t->blocks[k].grads = grads;
    if (bw__exec_is_dry(&t->exec)) return BW_OK;
    t->summing.name = head ? "gradients of trunk" : "gradients";
    t->summing.block = k;
    return bw__comm_begin_sum_f32(&t->summing, t->grid->batch, grads, head ? trunk_count(p) : p->trained);
}

/* Head and projector, which have most of the numbers, while the backward pass goes on through the trunk. */
static bw_status sum_head(void *user)
{
    const bw_trained_block *b = user;
    bw_trainer *t = b->trainer;
    const bw_params *p = &t->network->params[b->index];
    int64_t from = trunk_count(p);
    if (bw__exec_is_dry(&t->exec)) return BW_OK;
    t->head_done_s = bw__now_s();
    t->summing_head.name = "gradients of head";
    t->summing_head.block = b->index;
    return bw__comm_begin_sum_f32(&t->summing_head, t->grid->batch, t->grads + from, p->trained - from);
}

static bw_status wait_for_sum(bw_trainer *t, int k)
{
    double begin = bw__profile_begin_apart(&t->exec);
    if (t->grid->data == 1 || bw__exec_is_dry(&t->exec)) return BW_OK;
    bw_status st = bw__comm_finish(&t->summing_head);
    if (st == BW_OK) st = bw__comm_finish(&t->summing);
    bw__profile_end_apart(&t->exec, begin, "ranks", "wait for gradients");
    float *grads = t->blocks[k].grads;
    for (int64_t i = 0; t->wrong == BW_RANKS_AVERAGE_GRADIENTS && i < t->network->params[k].trained; i++)
        grads[i] /= (float)t->grid->data;
    return st;
}

bw_status bw__learn_block(bw_trainer *t, bw_step *out, int k)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    bw_run run = block_run(t, k);
    t->exec.side = b->side;
    BW_TRY(bw__learn_finish(t, out)); /* of the block before, whose buffer is needed */
    b->diff_z = bw__exec_take_f32(&t->exec, b->block.n * width(b));
    BW_TRY(find_loss(t, out, k, b->diff_z, b->z));
    if (out->has_health) measure_output(t, out, k);
    if (t->probe) BW_TRY(teach_probe(t, out, k));
    run.on_head = t->no_overlap ? NULL : sum_head;
    run.user = b;
    BW_TRY(backward_block(t, b, &run));
    BW_TRY(sum_gradients(t, k, t->grads, run.on_head != NULL));
    if (t->grid->data == 1 || t->no_overlap) BW_TRY(bw__learn_finish(t, out));
out:
    return st;
}

bw_status bw__learn_finish(bw_trainer *t, bw_step *out)
{
    int k = t->summed;
    if (k < 0) return BW_OK;
    t->summed = -1;
    bw_status st = wait_for_sum(t, k);
    return st == BW_OK ? update(t, out, k, t->blocks[k].grads) : st;
}

/* --- a batch in parts --- */

/* Rows of the running part in a tensor [2, batch, width] of the whole batch: those of view `view`. */
static float *rows_of_part(const bw_trainer *t, const bw_trained_block *b, float *whole, int view)
{
    int64_t images = b->block.n / BW_VIEWS;
    return whole + (view * t->batch + t->part * images) * width(b);
}

void bw__learn_prepare(bw_trainer *t)
{
    float *sum = t->sums;
    t->exec.side = BW_LOW;
    for (int k = t->first; k <= t->phase->last && k < t->created; k++) {
        bw_trained_block *b = &t->blocks[k];
        if (!t->phase->learns[k]) continue;
        b->batch_z = bw__exec_take_f32(&t->exec, BW_VIEWS * t->batch * width(b));
        b->sum = sum;
        sum += t->network->params[k].trained;
    }
}

bw_status bw__learn_keep(bw_trainer *t, bw_step *out, int k)
{
    (void)out;
    const bw_trained_block *b = &t->blocks[k];
    int64_t count = b->block.n / BW_VIEWS * width(b);
    for (int v = 0; v < BW_VIEWS && !bw__exec_is_dry(&t->exec); v++)
        memcpy(rows_of_part(t, b, b->batch_z, v), b->z + v * count, (size_t)count * sizeof(float));
    return BW_OK;
}

bw_status bw__learn_loss(bw_trainer *t, bw_step *out, int k)
{
    const bw_trained_block *b = &t->blocks[k];
    int64_t count = BW_VIEWS * t->batch * width(b);
    t->exec.side = BW_LOW;
    t->exec.arena.lap = 0;
    size_t mark = bw__exec_mark(&t->exec);
    float *diff = bw__exec_take_f32(&t->exec, count);
    bw_status st = find_loss(t, out, k, diff, b->batch_z);
    if (st == BW_OK && !bw__exec_is_dry(&t->exec)) memcpy(b->batch_z, diff, (size_t)count * sizeof *diff);
    bw__exec_release(&t->exec, mark);
    bw__learn_note_lap(t, k);
    return st;
}

bw_status bw__learn_add(bw_trainer *t, bw_step *out, int k)
{
    bw_status st = BW_OK;
    bw_trained_block *b = &t->blocks[k];
    int64_t count = b->block.n / BW_VIEWS * width(b), trained = t->network->params[k].trained;
    bw_run run = block_run(t, k);
    run.grads = t->part == 0 ? b->sum : t->grads;
    t->exec.side = b->side;
    b->diff_z = bw__exec_take_f32(&t->exec, BW_VIEWS * count);
    for (int v = 0; v < BW_VIEWS && !bw__exec_is_dry(&t->exec); v++)
        memcpy(b->diff_z + v * count, rows_of_part(t, b, b->batch_z, v), (size_t)count * sizeof(float));
    if (out->has_health) measure_output(t, out, k);
    if (t->probe) BW_TRY(teach_probe(t, out, k));
    BW_TRY(backward_block(t, b, &run));
    if (t->part > 0) bw__add(&t->exec, BW_F32, b->sum, b->sum, t->grads, trained);
out:
    return st;
}

bw_status bw__learn_update(bw_trainer *t, bw_step *out, int k)
{
    bw_status st = sum_gradients(t, k, t->blocks[k].sum, false);
    return st == BW_OK ? bw__learn_finish(t, out) : st;
}

void bw__learn_note_lap(bw_trainer *t, int k)
{
    bw_trained_block *b = &t->blocks[k];
    if (t->exec.arena.lap > b->arena_bytes) b->arena_bytes = t->exec.arena.lap;
}
