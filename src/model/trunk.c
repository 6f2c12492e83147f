#include "model/trunk.h"
#include "nn/pool.h"

static bw_status create_stem(bw_trunk *t, bw_exec *x, int64_t *h, int64_t *w, bool training)
{
    const bw_layer_spec *s = &t->spec->stem;
    bw_conv_shape shape = { .n = t->n,
                            .h = *h,
                            .w = *w,
                            .ic = s->ic,
                            .oc = s->oc,
                            .kernel = s->kernel,
                            .stride = s->stride,
                            .pad = s->pad,
                            .type = x->type };
    bw_status st =
        bw__conv_create(&t->stem, x, &shape, BW_PASS_FORWARD | (training ? BW_PASS_BACKWARD_WEIGHTS : 0u));
    if (st != BW_OK) return st;
    t->stem_h = *h = bw__conv_out(*h, s->kernel, s->stride, s->pad);
    t->stem_w = *w = bw__conv_out(*w, s->kernel, s->stride, s->pad);
    if (t->spec->max_pool) {
        *h = bw__max_pool_out(*h);
        *w = bw__max_pool_out(*w);
    }
    t->max_count = t->n * *h * *w * s->oc;
    return bw__bn_create(&t->stem_bn, x->type, t->views, t->n / t->views * t->stem_h * t->stem_w, s->oc);
}

/* The gradient of a unit's input is wanted by the unit or stem before it; of a block's input by nobody. */
static bool need_diff_in(const bw_trunk *t, int unit)
{
    return unit > 0 || t->spec->has_stem;
}

bw_status bw__trunk_create(bw_trunk *t, bw_exec *x, const bw_block_spec *spec, int views, int64_t n,
                           int64_t h, int64_t w, bool training)
{
    bw_status st = BW_OK;
    *t = (bw_trunk){ .spec = spec, .views = views, .n = n, .in_h = h, .in_w = w };
    if (spec->has_stem) BW_TRY(create_stem(t, x, &h, &w, training));
    for (int i = 0; i < spec->n_units; i++) {
        BW_TRY(
            bw__unit_create(&t->unit[i], x, &spec->unit[i], views, n, &h, &w, training, need_diff_in(t, i)));
        if (t->unit[i].out_count > t->max_count) t->max_count = t->unit[i].out_count;
    }
    t->out_h = h;
    t->out_w = w;
out:
    if (st != BW_OK) bw__trunk_destroy(t);
    return st;
}

void bw__trunk_destroy(bw_trunk *t)
{
    bw__conv_free(t->stem);
    bw__bn_destroy(&t->stem_bn);
    for (int i = 0; t->spec && i < t->spec->n_units; i++)
        bw__unit_destroy(&t->unit[i]);
    *t = (bw_trunk){ 0 };
}

int64_t bw__trunk_flops(const bw_trunk *t, bool backward)
{
    int64_t sum = t->stem ? bw__conv_flops(t->stem) * (backward ? 2 : 1) : 0;
    for (int i = 0; i < t->spec->n_units; i++)
        sum += bw__unit_flops(&t->unit[i], backward, need_diff_in(t, i));
    return sum;
}

/* With recompute. */
static bool keeps_output(const bw_trunk *t, int unit)
{
    int later = t->spec->n_units - 1 - unit;
    return later == 0 || later % 2 == 1;
}

int64_t bw__trunk_repeated_flops(const bw_trunk *t)
{
    int64_t sum = t->stem ? 2 * bw__conv_flops(t->stem) : 0;
    for (int i = 0; i < t->spec->n_units; i++)
        sum += bw__unit_flops(&t->unit[i], false, false) * (keeps_output(t, i) ? 1 : 2);
    return sum;
}

static int64_t stem_count(const bw_trunk *t)
{
    return t->n * t->stem_h * t->stem_w * t->spec->stem.oc;
}

static bw_status stem_forward(bw_trunk *t, const bw_run *run, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &t->spec->stem;
    size_t mark = bw__exec_mark(x);
    void *y = bw__exec_take(x, stem_count(t));
    BW_TRY(bw__conv_forward(t->stem, x, y, in, bw__run_value(run, s->weight)));
    bw__run_bn_prepare(run, &t->stem_bn, y, s->bn);
    if (t->spec->max_pool) {
        bw__bn_relu_forward(&t->stem_bn, x, y, y);
        bw__max_pool_forward(x, x->type, out, NULL, y, t->n, t->stem_h, t->stem_w, s->oc);
    } else {
        bw__bn_relu_forward(&t->stem_bn, x, out, y);
    }
out:
    bw__exec_release(x, mark);
    return st;
}

/* What the stem's backward pass needs, computed again: the convolution's output, and where the pool's largest
 * values were. */
typedef struct stem_state {
    void *y;
    uint8_t *where;
} stem_state;

/* out: the stem's output again, with the bits of the first time. The state stays taken. */
static bw_status stem_again(bw_trunk *t, const bw_run *run, stem_state *state, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &t->spec->stem;
    *state = (stem_state){ .y = bw__exec_take(x, stem_count(t)) };
    BW_TRY(bw__conv_forward(t->stem, x, state->y, in, bw__run_value(run, s->weight)));
    if (t->spec->max_pool) {
        state->where = bw__arena_take(&x->arena, x->side, (size_t)t->unit[0].in_count);
        size_t mark = bw__exec_mark(x);
        void *a = bw__exec_take(x, stem_count(t));
        bw__bn_relu_forward(&t->stem_bn, x, a, state->y);
        bw__max_pool_forward(x, x->type, out, state->where, a, t->n, t->stem_h, t->stem_w, s->oc);
        bw__exec_release(x, mark);
    } else {
        bw__bn_relu_forward(&t->stem_bn, x, out, state->y);
    }
out:
    return st;
}

static bw_status stem_backward(bw_trunk *t, const bw_run *run, const stem_state *state, void *diff,
                               const void *in)
{
    bw_exec *x = run->x;
    const bw_layer_spec *s = &t->spec->stem;
    size_t mark = bw__exec_mark(x);
    void *d = diff;
    if (t->spec->max_pool) {
        d = bw__exec_take(x, stem_count(t));
        bw__max_pool_backward(x, x->type, d, diff, state->where, t->n, t->stem_h, t->stem_w, s->oc);
    }
    bw__run_bn_backward(run, &t->stem_bn, d, d, state->y, s->bn, true);
    bw_status st = bw__conv_backward_weights(t->stem, x, bw__run_grad(run, s->weight), in, d);
    bw__exec_release(x, mark);
    return st;
}

static const void *unit_in(const bw_trunk *t, int unit, const void *in)
{
    return unit > 0 ? t->unit_out[unit - 1] : t->spec->has_stem ? t->stem_out : in;
}

/* What unit `end` needs and the saved tensors do not have with recompute: the stem's output for the first,
 * the output of a unit before it that is not kept. All of it is taken. */
static bw_status forward_to(bw_trunk *t, const bw_run *run, int end, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    int first = end > 0 && !keeps_output(t, end - 1) ? end - 1 : end;
    if (first == 0 && t->spec->has_stem) {
        t->stem_out = bw__exec_take(x, t->unit[0].in_count);
        BW_TRY(stem_forward(t, run, t->stem_out, in));
    }
    if (first == end) goto out;
    t->unit_mark[first] = bw__exec_mark(x);
    t->unit_out[first] = bw__exec_take(x, t->unit[first].out_count);
    BW_TRY(bw__unit_forward(&t->unit[first], run, t->unit_out[first], unit_in(t, first, in)));
out:
    return st;
}

static bw_status forward_recompute(bw_trunk *t, const bw_run *run, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    int last = t->spec->n_units - 1;
    for (int i = 0; i <= last; i++) {
        if (!keeps_output(t, i)) continue;
        t->unit_mark[i] = bw__exec_mark(x);
        t->unit_out[i] = i == last && out ? out : bw__exec_take(x, t->unit[i].out_count);
        size_t saved = bw__exec_mark(x);
        BW_TRY(forward_to(t, run, i, in));
        BW_TRY(bw__unit_forward(&t->unit[i], run, t->unit_out[i], unit_in(t, i, in)));
        bw__exec_release(x, saved);
    }
out:
    return st;
}

static bw_status forward_training(bw_trunk *t, const bw_run *run, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    int last = t->spec->n_units - 1;
    if (t->spec->has_stem) {
        t->stem_out = bw__exec_take(x, t->unit[0].in_count);
        BW_TRY(stem_forward(t, run, t->stem_out, in));
    }
    for (int i = 0; i <= last; i++) {
        t->unit_mark[i] = bw__exec_mark(x);
        t->unit_out[i] = i == last && out ? out : bw__exec_take(x, t->unit[i].out_count);
        BW_TRY(bw__unit_forward(&t->unit[i], run, t->unit_out[i], unit_in(t, i, in)));
    }
out:
    return st;
}

/* Nothing is saved: two buffers take turns. */
static bw_status forward_evaluation(bw_trunk *t, const bw_run *run, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    int last = t->spec->n_units - 1;
    size_t mark = bw__exec_mark(x);
    void *turn[2] = { bw__exec_take(x, t->max_count), bw__exec_take(x, t->max_count) };
    if (t->spec->has_stem) {
        BW_TRY(stem_forward(t, run, turn[0], in));
        in = turn[0];
    }
    for (int i = 0; i <= last; i++) {
        void *dst = i == last ? out : turn[(i + 1) % 2];
        BW_TRY(bw__unit_forward(&t->unit[i], run, dst, in));
        in = dst;
    }
out:
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__trunk_forward(bw_trunk *t, const bw_run *run, void *out, const void *in)
{
    t->mark = bw__exec_mark(run->x);
    if (!run->training) return forward_evaluation(t, run, out, in);
    return run->recompute ? forward_recompute(t, run, out, in) : forward_training(t, run, out, in);
}

bw_status bw__trunk_backward(bw_trunk *t, const bw_run *run, void *diff, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    bw_run again = *run;
    stem_state stem;
    again.again = true;
    for (int i = t->spec->n_units - 1; i >= 0; i--) {
        bw__unit_mask(&t->unit[i], run, diff, t->unit_out[i]);
        if (run->recompute) {
            bw__exec_release(x, t->unit_mark[i]);
            if (keeps_output(t, i)) BW_TRY(forward_to(t, &again, i, in));
        }
        BW_TRY(bw__unit_backward(&t->unit[i], run, diff, unit_in(t, i, in), need_diff_in(t, i)));
        if (!run->recompute) bw__exec_release(x, t->unit_mark[i]);
    }
    if (t->spec->has_stem) {
        BW_TRY(stem_again(t, &again, &stem, t->stem_out, in));
        BW_TRY(stem_backward(t, run, &stem, diff, in));
    }
out:
    bw__exec_release(x, t->mark);
    return st;
}
