#include "model/head.h"
#include "nn/pool.h"

/* The convolution: fused, or stored. */
static bw_status create_expansion(bw_head *hd, bw_exec *x, int views, bool training)
{
    const bw_layer_spec *s = &hd->spec->expand;
    const bw_subsample_shape *p = &hd->picked;
    unsigned backward = training ? BW_PASS_BACKWARD_DATA | BW_PASS_BACKWARD_WEIGHTS : 0u;
    const bw_conv_shape shape = { .n = hd->n,
                                  .h = bw__subsample_out(hd->h, p->stride),
                                  .w = bw__subsample_out(hd->w, p->stride),
                                  .ic = s->ic,
                                  .oc = s->oc,
                                  .kernel = s->kernel,
                                  .stride = p->stride == s->stride ? 1 : s->stride,
                                  .pad = s->pad,
                                  .type = x->type };
    hd->positions = bw__conv_out(shape.h, s->kernel, shape.stride, s->pad) *
                    bw__conv_out(shape.w, s->kernel, shape.stride, s->pad);
    const bw_fused_head_shape fused = { .views = views,
                                        .images = hd->n,
                                        .positions = hd->positions,
                                        .c = s->ic,
                                        .d = s->oc,
                                        .type = x->type,
                                        .training = training };
    if (s->kernel == 1 && bw__fused_head_pays(s->ic, s->oc))
        return bw__fused_head_create(&hd->fused, x, &fused);
    return bw__conv_create(&hd->expand, x, &shape, BW_PASS_FORWARD | backward);
}

bw_status bw__head_create(bw_head *hd, bw_exec *x, const bw_block_spec *spec, int views, int64_t n, int64_t h,
                          int64_t w, bool training)
{
    const bw_layer_spec *s = &spec->expand;
    *hd = (bw_head){ .spec = spec, .n = n, .h = h, .w = w };
    hd->picked = (bw_subsample_shape){
        .n = n, .h = h, .w = w, .c = spec->out_c, .stride = s->kernel == 1 ? s->stride : 1, .type = x->type
    };
    if (spec->pool != BW_POOL_CBE) return BW_OK;
    bw_status st = create_expansion(hd, x, views, training);
    if (st == BW_OK) st = bw__bn_create(&hd->bn, x->type, views, n / views * hd->positions, s->oc);
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
    bool strided = hd->spec->expand.stride > 1;
    if (hd->fused) return strided ? "fused, strided" : "fused";
    if (hd->expand) return strided ? "with a stored expansion, strided" : "with a stored expansion";
    return hd->spec->pool == BW_POOL_LSP ? "pooled in cells" : "pooled only";
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

static bw_lsp_shape lsp_shape(const bw_head *hd, bw_type type)
{
    return (bw_lsp_shape){ .n = hd->n,
                           .h = hd->h,
                           .w = hd->w,
                           .c = hd->spec->out_c,
                           .rows = hd->spec->grid_rows,
                           .columns = hd->spec->grid_columns,
                           .type = type };
}

static void pool_forward(const bw_head *hd, bw_exec *x, float *h, const void *in)
{
    const bw_lsp_shape lsp = lsp_shape(hd, x->type);
    if (hd->spec->pool == BW_POOL_LSP)
        bw__lsp_forward(x, &lsp, h, in);
    else
        bw__gsp_forward(x, x->type, h, in, hd->n, hd->h * hd->w, hd->spec->out_c);
}

static void pool_backward(const bw_head *hd, bw_exec *x, void *diff_in, const float *diff_h)
{
    const bw_lsp_shape lsp = lsp_shape(hd, x->type);
    if (hd->spec->pool == BW_POOL_LSP)
        bw__lsp_backward(x, &lsp, diff_in, diff_h);
    else
        bw__gsp_backward(x, x->type, diff_in, diff_h, hd->n, hd->h * hd->w, hd->spec->out_c);
}

bw_status bw__head_forward(bw_head *hd, const bw_run *run, float *h, const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &hd->spec->expand;
    size_t mark = bw__exec_mark(x);
    if (hd->spec->pool != BW_POOL_CBE) {
        pool_forward(hd, x, h, in);
        return BW_OK;
    }
    if (hd->picked.stride > 1) {
        hd->compact = bw__exec_take(x, hd->n * hd->positions * hd->spec->out_c);
        bw__subsample_forward(x, &hd->picked, hd->compact, in);
        in = hd->compact;
    }
    if (hd->fused) {
        BW_TRY(fused_forward(hd, run, h, in));
        goto out;
    }
    hd->y = bw__exec_take(x, hd->n * hd->positions * s->oc);
    BW_TRY(bw__conv_forward(hd->expand, x, hd->y, in, bw__run_value(run, s->weight)));
    bw__run_bn_prepare(run, &hd->bn, hd->y, s->bn);
    bw__bn_relu_pool_forward(&hd->bn, x, h, hd->y, hd->positions);
out:
    if (!run->training) bw__exec_release(x, mark);
    return st;
}

/* in, diff_in: what the expansion reads, and its gradient. */
static bw_status expansion_backward(bw_head *hd, const bw_run *run, void *diff_in, const float *diff_h,
                                    const void *in)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    const bw_layer_spec *s = &hd->spec->expand;
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

bw_status bw__head_backward(bw_head *hd, const bw_run *run, void *diff_in, const float *diff_h,
                            const void *in)
{
    bw_exec *x = run->x;
    if (hd->spec->pool != BW_POOL_CBE) {
        pool_backward(hd, x, diff_in, diff_h);
        return BW_OK;
    }
    if (hd->picked.stride == 1) return expansion_backward(hd, run, diff_in, diff_h, in);
    size_t mark = bw__exec_mark(x);
    void *diff = bw__exec_take(x, hd->n * hd->positions * hd->spec->out_c);
    bw_status st = expansion_backward(hd, run, diff, diff_h, hd->compact);
    if (st == BW_OK) bw__subsample_backward(x, &hd->picked, diff_in, diff);
    bw__exec_release(x, mark);
    return st;
}
