#include "model/unit.h"
#include "nn/elementwise.h"

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
                            .pad = s->pad,
                            .type = x->type };
    int64_t oh = bw__conv_out(h, s->kernel, s->stride, s->pad),
            ow = bw__conv_out(w, s->kernel, s->stride, s->pad);
    bw_status st = bw__conv_create(conv, x, &shape, passes);
    if (st == BW_OK) st = bw__bn_create(bn, x->type, views, n / views * oh * ow, s->oc);
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
        if (i < spec->n_convs - 1 && u->y_count[i] > u->inner_count) u->inner_count = u->y_count[i];
    }
    u->out_count = u->y_count[spec->n_convs - 1];
    u->kept = spec->n_convs;
    if (spec->has_downsample && spec->conv[spec->n_convs - 1].kernel == 1) u->kept--;
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

int64_t bw__unit_flops(const bw_unit *u, bool backward, bool need_diff_in)
{
    int64_t first = backward ? (need_diff_in ? 3 : 2) : 1, inner = backward ? 3 : 1, sum = 0;
    for (int i = 0; i < u->spec->n_convs; i++)
        sum += bw__conv_flops(u->conv[i]) * (i ? inner : first);
    return sum + (u->downsample ? bw__conv_flops(u->downsample) * first : 0);
}

/* The convolutions from `from` on, one after another: y[i - 1] -> relu(bn(y[i - 1])) -> y[i]. The ReLU's
 * output goes to `a` [inner_count], or into the place of y[i - 1] where `a` is NULL. */
static bw_status run_convs(bw_unit *u, const bw_run *run, void *a, const void *in, int from)
{
    bw_status st = BW_OK;
    const bw_layer_spec *s = u->spec->conv;
    for (int i = from; i < u->spec->n_convs; i++) {
        const void *src = in;
        if (i > 0) {
            void *relu = a ? a : u->y[i - 1];
            bw__bn_relu_forward(&u->bn[i - 1], run->x, relu, u->y[i - 1]);
            src = relu;
        }
        BW_TRY(bw__conv_forward(u->conv[i], run->x, u->y[i], src, bw__run_value(run, s[i].weight)));
        bw__run_bn_prepare(run, &u->bn[i], u->y[i], s[i].bn);
    }
out:
    return st;
}

static bw_status run_downsample(bw_unit *u, const bw_run *run, void *y, const void *in)
{
    return bw__conv_forward(u->downsample, run->x, y, in, bw__run_value(run, u->spec->downsample.weight));
}

bw_status bw__unit_forward(bw_unit *u, const bw_run *run, void *out, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_unit_spec *s = u->spec;
    int last = s->n_convs - 1;
    bool save = run->training && !run->recompute;
    size_t mark = bw__exec_mark(x);
    for (int i = 0; i <= last; i++) {
        u->y[i] = bw__exec_take(x, u->y_count[i]);
        if (save && i + 1 == u->kept) mark = bw__exec_mark(x);
    }
    void *a = save ? bw__exec_take(x, u->inner_count) : NULL;
    BW_TRY(run_convs(u, run, a, in, 0));
    if (s->has_downsample) {
        BW_TRY(run_downsample(u, run, out, in));
        bw__run_bn_prepare(run, &u->downsample_bn, out, s->downsample.bn);
        bw__bn_add_relu_forward(&u->bn[last], x, out, u->y[last], out, &u->downsample_bn);
    } else {
        bw__bn_add_relu_forward(&u->bn[last], x, out, u->y[last], in, NULL);
    }
out:
    bw__exec_release(x, mark);
    return st;
}

void bw__unit_mask(const bw_unit *u, const bw_run *run, void *diff, const void *out)
{
    bw__relu_backward(&u->bn[u->spec->n_convs - 1], run->x, diff, out);
}

/* From the gradient of out in `diff` to the gradients of y[i] in the places of y[i], and those of all
 * parameters but the first convolution's. t [inner_count] holds relu(bn(y[i - 1])), the input of convolution
 * i, and then its gradient. */
static bw_status convs_backward(bw_unit *u, const bw_run *run, const void *diff, void *t)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = u->spec->conv;
    int last = u->spec->n_convs - 1;
    bw__run_bn_backward(run, &u->bn[last], u->y[last], diff, u->y[last], s[last].bn, false);
    for (int i = last; i > 0; i--) {
        bw__bn_relu_forward(&u->bn[i - 1], x, t, u->y[i - 1]);
        BW_TRY(bw__conv_backward_weights(u->conv[i], x, bw__run_grad(run, s[i].weight), t, u->y[i]));
        BW_TRY(bw__conv_backward_data(u->conv[i], x, t, u->y[i], bw__run_value(run, s[i].weight)));
        bw__run_bn_backward(run, &u->bn[i - 1], u->y[i - 1], t, u->y[i - 1], s[i - 1].bn, true);
    }
out:
    return st;
}

/* The shortcut's convolution lies in the place of the last y for the time of its batch norm's backward pass,
 * which leaves the gradient of the convolution's output in diff. */
static bw_status downsample_backward(bw_unit *u, const bw_run *run, void *diff, const void *in)
{
    const bw_layer_spec *s = &u->spec->downsample;
    void *y = u->y[u->spec->n_convs - 1];
    bw_status st = run_downsample(u, run, y, in);
    if (st != BW_OK) return st;
    bw__run_bn_backward(run, &u->downsample_bn, diff, diff, y, s->bn, false);
    return bw__conv_backward_weights(u->downsample, run->x, bw__run_grad(run, s->weight), in, diff);
}

/* diff: gradient of the shortcut's output in, of the unit's input out. */
static bw_status input_backward(bw_unit *u, const bw_run *run, void *diff)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_unit_spec *s = u->spec;
    bool down = s->has_downsample;
    /* Without a downsample the input is as large as the last y, whose place is free. */
    void *main_diff = down ? bw__exec_take(x, u->in_count) : u->y[s->n_convs - 1], *shortcut = diff;
    BW_TRY(bw__conv_backward_data(u->conv[0], x, main_diff, u->y[0], bw__run_value(run, s->conv[0].weight)));
    if (down) {
        shortcut = bw__exec_take(x, u->in_count);
        BW_TRY(bw__conv_backward_data(u->downsample, x, shortcut, diff,
                                      bw__run_value(run, s->downsample.weight)));
    }
    bw__add(x, x->type, diff, shortcut, main_diff, u->in_count);
out:
    return st;
}

bw_status bw__unit_backward(bw_unit *u, const bw_run *run, void *diff, const void *in, bool need_diff_in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_unit_spec *s = u->spec;
    int kept = run->recompute ? 0 : u->kept;
    bw_run again = *run;
    again.again = true;
    size_t mark = bw__exec_mark(x);
    for (int i = kept; i < s->n_convs; i++)
        u->y[i] = bw__exec_take(x, u->y_count[i]);
    size_t inner = bw__exec_mark(x);
    void *t = bw__exec_take(x, u->inner_count);
    BW_TRY(run_convs(u, &again, t, in, kept));
    BW_TRY(convs_backward(u, run, diff, t));
    bw__exec_release(x, inner);
    BW_TRY(bw__conv_backward_weights(u->conv[0], x, bw__run_grad(run, s->conv[0].weight), in, u->y[0]));
    if (s->has_downsample) BW_TRY(downsample_backward(u, run, diff, in));
    if (need_diff_in) BW_TRY(input_backward(u, run, diff));
out:
    bw__exec_release(x, mark);
    return st;
}
