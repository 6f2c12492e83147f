#include "model/head.h"
#include "nn/pool.h"

bw_status bw__head_create(bw_head *hd, bw_exec *x, const bw_block_spec *spec, int views, int64_t n, int64_t h,
                          int64_t w, bool training)
{
    const bw_layer_spec *s = &spec->expand;
    unsigned backward = training ? BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS : 0u;
    *hd = (bw_head){ .spec = spec, .n = n, .positions = h * w };
    if (spec->pool != BW_POOL_CBE) return BW_OK;
    bw_conv_shape shape = { .n = n,
                            .h = h,
                            .w = w,
                            .ic = s->ic,
                            .oc = s->oc,
                            .kernel = s->kernel,
                            .stride = s->stride,
                            .pad = s->pad,
                            .type = x->type };
    const bw_fused_head_shape fused = { .views = views,
                                        .images = n,
                                        .positions = h * w,
                                        .c = s->ic,
                                        .d = s->oc,
                                        .type = shape.type,
                                        .training = training };
    bw_status st = s->kernel == 1 && s->stride == 1 && bw__fused_head_pays(s->ic, s->oc)
                       ? bw__fused_head_create(&hd->fused, x, &fused)
                       : bw__conv_create(&hd->expand, x, &shape, BW_PASS_FORWARD | backward);
    if (st == BW_OK) st = bw__bn_create(&hd->bn, x->type, views, n / views * h * w, s->oc);
    if (st != BW_OK) bw__head_destroy(hd);
    return st;
}

void bw__head_destroy(bw_head *hd)
{
    bw__conv_free(hd->expand);
    bw__fused_head_free(hd->fused);
    bw__bn_destroy(&hd->bn);
    *hd = (bw_head){ 0 };
}

const char *bw__head_form(const bw_head *hd)
{
    return hd->fused ? "fused" : hd->expand ? "with a stored expansion" : "pooled only";
}

int64_t bw__head_flops(const bw_head *hd, bool backward)
{
    const bw_layer_spec *s = &hd->spec->expand;
    if (hd->spec->pool != BW_POOL_CBE) return 0;
    return 2 * hd->n * hd->positions * s->ic * s->oc * s->kernel * s->kernel * (backward ? 3 : 1);
}

static bw_status fused_forward(bw_head *hd, const bw_run *run, float *h, const void *in)
{
    const bw_layer_spec *s = &hd->spec->expand;
    bw_bn_params p = bw__run_bn(run, s->bn);
    if (!run->training) bw__bn_use_running(&hd->bn, run->x, &p);
    return bw__fused_head_forward(hd->fused, run->x, &hd->bn, &p, h, in, bw__run_value(run, s->weight));
}

bw_status bw__head_forward(bw_head *hd, const bw_run *run, float *h, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &hd->spec->expand;
    size_t mark = bw__exec_mark(x);
    if (hd->spec->pool == BW_POOL_GSP) {
        bw__gsp_forward(x, x->type, h, in, hd->n, hd->positions, hd->spec->out_c);
        return BW_OK;
    }
    if (hd->fused) return fused_forward(hd, run, h, in);
    hd->y = bw__exec_take(x, hd->n * hd->positions * s->oc);
    BW_TRY(bw__conv_forward(hd->expand, x, hd->y, in, bw__run_value(run, s->weight)));
    bw__run_bn_prepare(run, &hd->bn, hd->y, s->bn);
    bw__bn_relu_pool_forward(&hd->bn, x, h, hd->y, hd->positions);
out:
    if (!run->training) bw__exec_release(x, mark);
    return st;
}

bw_status bw__head_backward(bw_head *hd, const bw_run *run, void *diff_in, const float *diff_h,
                            const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &hd->spec->expand;
    if (hd->spec->pool == BW_POOL_GSP) {
        bw__gsp_backward(x, x->type, diff_in, diff_h, hd->n, hd->positions, hd->spec->out_c);
        return BW_OK;
    }
    bw_bn_params p = bw__run_bn(run, s->bn);
    if (hd->fused)
        return bw__fused_head_backward(hd->fused, x, &hd->bn, &p, diff_in, bw__run_grad(run, s->weight),
                                       bw__run_grad(run, s->bn), bw__run_grad(run, s->bn + 1), diff_h, in,
                                       bw__run_value(run, s->weight));
    bw__bn_relu_pool_backward(&hd->bn, x, hd->y, bw__run_grad(run, s->bn), bw__run_grad(run, s->bn + 1),
                              diff_h, hd->y, &p, hd->positions);
    BW_TRY(bw__conv_backward_weights(hd->expand, x, bw__run_grad(run, s->weight), in, hd->y));
    BW_TRY(bw__conv_backward_data(hd->expand, x, diff_in, hd->y, bw__run_value(run, s->weight)));
out:
    return st;
}
