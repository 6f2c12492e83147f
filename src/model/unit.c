#include "model/unit.h"
#include "base/dispatch.h"

static bw_status create_layer(bw_conv **conv, bw_bn *bn, bw_exec *x, const bw_layer_spec *s, int views,
                              int64_t n, int64_t h, int64_t w, unsigned passes)
{
    bw_conv_shape shape = { .n = n,
                            .h = h,
                            .w = w,
                            .ic = s->ic,
                            .oc = s->oc,
                            .kernel = s->kernel,
                            .stride = s->stride,
                            .pad = s->pad };
    int64_t oh = bw__conv_out(h, s->kernel, s->stride, s->pad),
            ow = bw__conv_out(w, s->kernel, s->stride, s->pad);
    bw_status st = bw__conv_create(conv, x, &shape, passes);
    if (st == BW_OK) st = bw__bn_create(bn, views, n / views * oh * ow, s->oc);
    return st;
}

bw_status bw__unit_create(bw_unit *u, bw_exec *x, const bw_unit_spec *spec, int views, int64_t n, int64_t *h,
                          int64_t *w, bool training, bool need_diff_in)
{
    bw_status st = BW_OK;
    unsigned inner = BW_PASS_FORWARD | (training ? BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS : 0u);
    unsigned first = need_diff_in ? inner : inner & ~(unsigned)BW_PASS_BACKWARD_DATA;
    int64_t in_h = *h, in_w = *w;
    *u = (bw_unit){ .spec = spec, .in_count = n * in_h * in_w * spec->conv[0].ic };
    if (spec->has_downsample)
        BW_TRY(create_layer(&u->downsample, &u->downsample_bn, x, &spec->downsample, views, n, in_h, in_w,
                            first));
    for (int i = 0; i < spec->n_convs; i++) {
        const bw_layer_spec *s = &spec->conv[i];
        BW_TRY(create_layer(&u->conv[i], &u->bn[i], x, s, views, n, *h, *w, i ? inner : first));
        *h = bw__conv_out(*h, s->kernel, s->stride, s->pad);
        *w = bw__conv_out(*w, s->kernel, s->stride, s->pad);
        u->y_count[i] = n * *h * *w * s->oc;
    }
    u->out_count = u->y_count[spec->n_convs - 1];
out:
    if (st != BW_OK) bw__unit_destroy(u);
    return st;
}

void bw__unit_destroy(bw_unit *u)
{
    for (int i = 0; i < 3; i++) {
        bw__conv_free(u->conv[i]);
        bw__bn_destroy(&u->bn[i]);
    }
    bw__conv_free(u->downsample);
    bw__bn_destroy(&u->downsample_bn);
    *u = (bw_unit){ 0 };
}

int64_t bw__unit_max_count(const bw_unit *u)
{
    int64_t most = u->in_count;
    for (int i = 0; i < u->spec->n_convs; i++)
        if (u->y_count[i] > most) most = u->y_count[i];
    return most;
}

int64_t bw__unit_flops(const bw_unit *u, bool backward, bool need_diff_in)
{
    int64_t first = backward ? (need_diff_in ? 3 : 2) : 1, inner = backward ? 3 : 1, sum = 0;
    for (int i = 0; i < u->spec->n_convs; i++)
        sum += bw__conv_flops(u->conv[i]) * (i ? inner : first);
    return sum + (u->downsample ? bw__conv_flops(u->downsample) * first : 0);
}

bw_status bw__unit_forward(bw_unit *u, const bw_run *run, float *out, const float *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_unit_spec *s = u->spec;
    int last = s->n_convs - 1;
    size_t all = bw__exec_mark(x);
    for (int i = 0; i <= last; i++)
        u->y[i] = bw__exec_take_f32(x, u->y_count[i]);
    if (s->has_downsample) u->y_downsample = bw__exec_take_f32(x, u->out_count);
    size_t saved = bw__exec_mark(x);
    float *a = bw__exec_take_f32(x, bw__unit_max_count(u));
    const float *src = in;
    for (int i = 0; i <= last; i++) {
        BW_TRY(bw__conv_forward(u->conv[i], x, u->y[i], src, bw__run_value(run, s->conv[i].weight)));
        bw__run_bn_prepare(run, &u->bn[i], u->y[i], s->conv[i].bn);
        if (i < last) bw__bn_relu_forward(&u->bn[i], x, a, u->y[i]);
        src = a;
    }
    if (s->has_downsample) {
        BW_TRY(bw__conv_forward(u->downsample, x, u->y_downsample, in,
                                bw__run_value(run, s->downsample.weight)));
        bw__run_bn_prepare(run, &u->downsample_bn, u->y_downsample, s->downsample.bn);
        bw__bn_add_relu_forward(&u->bn[last], x, out, u->y[last], u->y_downsample, &u->downsample_bn);
    } else {
        bw__bn_add_relu_forward(&u->bn[last], x, out, u->y[last], in, NULL);
    }
out:
    bw__exec_release(x, run->training ? saved : all);
    return st;
}

/* dst = p + q; dst may be p. */
BW_CLONES static void add_range(float *dst, const float *p, const float *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = p[i] + q[i];
}

static void add_tensors(bw_exec *x, float *dst, const float *p, const float *q, int64_t n)
{
    if (bw__exec_is_dry(x)) return;
    int64_t piece = 1 << 14;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < n; i += piece)
        add_range(dst + i, p + i, q + i, n - i < piece ? n - i : piece);
}

bw_status bw__unit_backward(bw_unit *u, const bw_run *run, float *diff, float *t1, float *t2, const float *in,
                            const float *out, bool need_diff_in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_unit_spec *s = u->spec;
    int last = s->n_convs - 1;
    bw__relu_backward(&u->bn[last], x, diff, out);
    bw__run_bn_backward(run, &u->bn[last], t1, diff, u->y[last], s->conv[last].bn, false);
    /* t1: gradient of y[i]; t2: first relu(bn(y[i - 1])), the input of convolution i, then its gradient. */
    for (int i = last; i > 0; i--) {
        bw__bn_relu_forward(&u->bn[i - 1], x, t2, u->y[i - 1]);
        BW_TRY(bw__conv_backward_weights(u->conv[i], x, bw__run_grad(run, s->conv[i].weight), t2, t1));
        BW_TRY(bw__conv_backward_data(u->conv[i], x, t2, t1, bw__run_value(run, s->conv[i].weight)));
        bw__run_bn_backward(run, &u->bn[i - 1], t2, t2, u->y[i - 1], s->conv[i - 1].bn, true);
        float *swap = t1;
        t1 = t2;
        t2 = swap;
    }
    BW_TRY(bw__conv_backward_weights(u->conv[0], x, bw__run_grad(run, s->conv[0].weight), in, t1));
    if (need_diff_in)
        BW_TRY(bw__conv_backward_data(u->conv[0], x, t2, t1, bw__run_value(run, s->conv[0].weight)));
    if (s->has_downsample) {
        bw__run_bn_backward(run, &u->downsample_bn, diff, diff, u->y_downsample, s->downsample.bn, false);
        BW_TRY(
            bw__conv_backward_weights(u->downsample, x, bw__run_grad(run, s->downsample.weight), in, diff));
        if (need_diff_in) {
            BW_TRY(
                bw__conv_backward_data(u->downsample, x, t1, diff, bw__run_value(run, s->downsample.weight)));
            add_tensors(x, diff, t1, t2, u->in_count);
        }
    } else if (need_diff_in) {
        add_tensors(x, diff, diff, t2, u->in_count);
    }
out:
    return st;
}
