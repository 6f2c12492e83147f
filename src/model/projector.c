#include "model/projector.h"

bw_status bw__projector_create(bw_projector *p, bw_exec *x, const bw_block_spec *spec, int views, int64_t n)
{
    bw_status st = BW_OK;
    *p = (bw_projector){ .spec = spec, .n = n, .max_width = spec->head_dim };
    for (int i = 0; i < spec->n_linear; i++) {
        const bw_layer_spec *s = &spec->linear[i];
        if (s->oc > p->max_width) p->max_width = s->oc;
        const bw_matmul_shape forward = { .m = n, .n = s->oc, .k = s->ic, .transpose_b = true },
                              data = { .m = n, .n = s->ic, .k = s->oc },
                              weights = { .m = s->oc, .n = s->ic, .k = n, .transpose_a = true };
        BW_TRY(bw__matmul_create(&p->forward[i], x, &forward));
        BW_TRY(bw__matmul_create(&p->backward_data[i], x, &data));
        BW_TRY(bw__matmul_create(&p->backward_weights[i], x, &weights));
        if (s->bn != BW_NO_BN) BW_TRY(bw__bn_create(&p->bn[i], BW_F32, views, n / views, s->oc));
    }
out:
    if (st != BW_OK) bw__projector_destroy(p);
    return st;
}

void bw__projector_destroy(bw_projector *p)
{
    for (int i = 0; i < BW_MAX_LINEAR; i++) {
        bw__matmul_free(p->forward[i]);
        bw__matmul_free(p->backward_data[i]);
        bw__matmul_free(p->backward_weights[i]);
        bw__bn_destroy(&p->bn[i]);
    }
    *p = (bw_projector){ 0 };
}

int64_t bw__projector_flops(const bw_projector *p)
{
    int64_t sum = 0;
    for (int i = 0; i < p->spec->n_linear; i++)
        sum += 3 * bw__matmul_flops(p->forward[i]);
    return sum;
}

/* y [n, oc] += bias */
static void add_bias(const bw_run *run, float *y, const float *bias, int64_t n, int64_t oc)
{
    if (bw__exec_is_dry(run->x)) return;
#pragma omp parallel for schedule(static) num_threads(run->x->threads)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < oc; j++)
            y[i * oc + j] += bias[j];
}

/* diff_bias [oc] = sum of diff [n, oc] over its rows */
static void bias_backward(const bw_run *run, float *diff_bias, const float *diff, int64_t n, int64_t oc)
{
    if (bw__exec_is_dry(run->x)) return;
#pragma omp parallel for schedule(static) num_threads(run->x->threads)
    for (int64_t j = 0; j < oc; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)diff[i * oc + j];
        diff_bias[j] = (float)sum;
    }
}

bw_status bw__projector_forward(bw_projector *p, const bw_run *run, float **z, const float *h)
{
    bw_status st = BW_OK;
    int last = p->spec->n_linear - 1;
    const float *src = h;
    double begin = bw__profile_begin(run->x);
    for (int i = 0; i <= last; i++) {
        const bw_layer_spec *s = &p->spec->linear[i];
        p->y[i] = bw__exec_take_f32(run->x, p->n * s->oc);
        BW_TRY(bw__matmul_run(p->forward[i], run->x, p->y[i], src, bw__run_value(run, s->weight)));
        if (s->has_bias) add_bias(run, p->y[i], bw__run_value(run, s->weight + 1), p->n, s->oc);
        if (i == last) break;
        p->a[i] = bw__exec_take_f32(run->x, p->n * s->oc);
        bw__run_bn_prepare(run, &p->bn[i], p->y[i], s->bn);
        bw__bn_relu_forward(&p->bn[i], run->x, p->a[i], p->y[i]);
        src = p->a[i];
    }
    *z = p->y[last];
out:
    bw__profile_end(run->x, begin, "projector", "forward", bw__projector_flops(p) / 3);
    return st;
}

bw_status bw__projector_backward(bw_projector *p, const bw_run *run, float *diff_h, const float *diff_z,
                                 const float *h)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    size_t mark = bw__exec_mark(x);
    float *buffer[2] = { bw__exec_take_f32(x, p->n * p->max_width),
                         bw__exec_take_f32(x, p->n * p->max_width) };
    const float *diff = diff_z;
    double begin = bw__profile_begin(x);
    for (int i = p->spec->n_linear - 1; i >= 0; i--) {
        const bw_layer_spec *s = &p->spec->linear[i];
        float *diff_in = i == 0 ? diff_h : buffer[i % 2];
        const float *src = i == 0 ? h : p->a[i - 1];
        BW_TRY(bw__matmul_run(p->backward_weights[i], x, bw__run_grad(run, s->weight), diff, src));
        if (s->has_bias) bias_backward(run, bw__run_grad(run, s->weight + 1), diff, p->n, s->oc);
        BW_TRY(bw__matmul_run(p->backward_data[i], x, diff_in, diff, bw__run_value(run, s->weight)));
        if (i > 0)
            bw__run_bn_backward(run, &p->bn[i - 1], diff_in, diff_in, p->y[i - 1], p->spec->linear[i - 1].bn,
                                true);
        diff = diff_in;
    }
out:
    bw__profile_end(x, begin, "projector", "backward", bw__projector_flops(p) / 3 * 2);
    bw__exec_release(x, mark);
    return st;
}
