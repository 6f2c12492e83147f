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
                            .pad = s->pad };
    bw_status st =
        bw__conv_create(&t->stem, x, &shape, BW_PASS_FORWARD | (training ? BW_PASS_BACKWARD_WEIGHTS : 0u));
    if (st != BW_OK) return st;
    t->stem_h = *h = bw__conv_out(*h, s->kernel, s->stride, s->pad);
    t->stem_w = *w = bw__conv_out(*w, s->kernel, s->stride, s->pad);
    t->max_count = t->n * *h * *w * s->oc;
    if (t->spec->max_pool) {
        *h = bw__max_pool_out(*h);
        *w = bw__max_pool_out(*w);
    }
    return bw__bn_create(&t->stem_bn, t->views, t->n / t->views * t->stem_h * t->stem_w, s->oc);
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
        int64_t most = bw__unit_max_count(&t->unit[i]);
        if (most > t->max_count) t->max_count = most;
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

static bw_status stem_forward(bw_trunk *t, const bw_run *run, float *out, const float *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &t->spec->stem;
    int64_t count = t->n * t->stem_h * t->stem_w * s->oc;
    size_t all = bw__exec_mark(x);
    t->stem_y = bw__exec_take_f32(x, count);
    if (t->spec->max_pool) t->stem_where = bw__arena_take(&x->arena, x->side, (size_t)t->unit[0].in_count);
    size_t saved = bw__exec_mark(x);
    BW_TRY(bw__conv_forward(t->stem, x, t->stem_y, in, bw__run_value(run, s->weight)));
    bw__run_bn_prepare(run, &t->stem_bn, t->stem_y, s->bn);
    if (t->spec->max_pool) {
        float *a = bw__exec_take_f32(x, count);
        bw__bn_relu_forward(&t->stem_bn, x, a, t->stem_y);
        bw__max_pool_forward(x, out, t->stem_where, a, t->n, t->stem_h, t->stem_w, s->oc);
    } else {
        bw__bn_relu_forward(&t->stem_bn, x, out, t->stem_y);
    }
out:
    bw__exec_release(x, run->training ? saved : all);
    return st;
}

bw_status bw__trunk_forward(bw_trunk *t, const bw_run *run, float *out, const float *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    size_t all = bw__exec_mark(x);
    int last = t->spec->n_units - 1;
    /* Without training nothing is saved: two buffers take turns. */
    float *turn[2] = { NULL, NULL };
    if (!run->training)
        for (int i = 0; i < 2; i++)
            turn[i] = bw__exec_take_f32(x, t->max_count);
    if (t->spec->has_stem) {
        t->stem_out = run->training ? bw__exec_take_f32(x, t->unit[0].in_count) : turn[0];
        BW_TRY(stem_forward(t, run, t->stem_out, in));
        in = t->stem_out;
    }
    for (int i = 0; i <= last; i++) {
        float *dst = i == last       ? out
                     : run->training ? bw__exec_take_f32(x, t->unit[i].out_count)
                                     : turn[(i + 1) % 2];
        BW_TRY(bw__unit_forward(&t->unit[i], run, dst, in));
        t->unit_out[i] = dst;
        in = dst;
    }
out:
    if (!run->training) bw__exec_release(x, all);
    return st;
}

static bw_status stem_backward(bw_trunk *t, const bw_run *run, float *diff, float *t1, const float *in)
{
    const bw_layer_spec *s = &t->spec->stem;
    float *d = diff;
    if (t->spec->max_pool) {
        bw__max_pool_backward(run->x, t1, diff, t->stem_where, t->n, t->stem_h, t->stem_w, s->oc);
        d = t1;
    }
    bw__run_bn_backward(run, &t->stem_bn, d, d, t->stem_y, s->bn, true);
    return bw__conv_backward_weights(t->stem, run->x, bw__run_grad(run, s->weight), in, d);
}

bw_status bw__trunk_backward(bw_trunk *t, const bw_run *run, float *diff, const float *in, const float *out)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    size_t mark = bw__exec_mark(x);
    float *t1 = bw__exec_take_f32(x, t->max_count), *t2 = bw__exec_take_f32(x, t->max_count);
    for (int i = t->spec->n_units - 1; i >= 0; i--) {
        const float *unit_in = i > 0 ? t->unit_out[i - 1] : t->spec->has_stem ? t->stem_out : in;
        BW_TRY(bw__unit_backward(&t->unit[i], run, diff, t1, t2, unit_in,
                                 i == t->spec->n_units - 1 ? out : t->unit_out[i], need_diff_in(t, i)));
    }
    if (t->spec->has_stem) BW_TRY(stem_backward(t, run, diff, t1, in));
out:
    bw__exec_release(x, mark);
    return st;
}
