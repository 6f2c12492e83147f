#include "nn/conv.h"
#include "base/memory.h"
#include "nn/elementwise.h"
#include "nn/gemm_conv.h"
#include "nn/onednn.h"
#include <stdio.h>

struct bw_conv {
    bw_conv_shape shape;
    unsigned as_products; /* passes that gemm_conv.c does; the others are oneDNN's convolutions */
    bw_conv *in_f32;      /* does a bf16 convolution's work on converted copies of some images; or NULL */
    bw_primitive forward, backward_data, backward_weights;
};

/* With AVX2 oneDNN 2.6 reaches 75-125 GFLOP/s in NHWC convolutions wider than 1x1 and 60-120 in all weight
 * gradients where a matrix product reaches 165 (two cores of Zen 3; bench/bench_conv.c prints both forms),
 * because what a tile reads is spread over too few cache sets. Its 1x1 products forward are as fast as ours.
 * With AVX-512 its own kernels are good in every pass, and bf16 has no product without a plan. */
unsigned bw__conv_passes_as_products(const bw_conv_shape *s)
{
    unsigned passes = 0;
    if (s->type != BW_F32 || !bw__exec_has_avx2_only()) return 0;
    if (s->kernel > 1 && s->ic >= 16) passes |= BW_PASS_FORWARD;
    if (s->stride == 1) passes |= BW_PASS_BACKWARD_DATA;
    return passes | BW_PASS_BACKWARD_WEIGHTS;
}

typedef struct conv_descs {
    bw_md_conv conv;
    bw_md oihw;
    char what[160];
} conv_descs;

static void conv_descs_clear(conv_descs *d)
{
    bw__md_clear(&d->conv.src);
    bw__md_clear(&d->conv.weights);
    bw__md_clear(&d->conv.diff_weights);
    bw__md_clear(&d->conv.dst);
    bw__md_clear(&d->oihw);
}

static void conv_name(char *text, size_t size, const bw_conv_shape *s)
{
    (void)snprintf(text, size, "convolution %dx%d/%d of %s [%lld, %lld, %lld, %lld] to %lld channels",
                   s->kernel, s->kernel, s->stride, bw__onednn_type_name(s->type), (long long)s->n,
                   (long long)s->h, (long long)s->w, (long long)s->ic, (long long)s->oc);
}

static bw_status conv_check_size(const bw_conv_shape *s)
{
    char what[160];
    conv_name(what, sizeof what, s);
    bw_status st = bw__onednn_check_size(what, 4, (const int64_t[]){ s->n, s->h, s->w, s->ic });
    if (st != BW_OK) return st;
    const int64_t dst[] = { s->n, bw__conv_out(s->h, s->kernel, s->stride, s->pad),
                            bw__conv_out(s->w, s->kernel, s->stride, s->pad), s->oc };
    st = bw__onednn_check_size(what, 4, dst);
    if (st != BW_OK) return st;
    return bw__onednn_check_size(what, 4, (const int64_t[]){ s->oc, s->ic, s->kernel, s->kernel });
}

static bw_status conv_describe(conv_descs *d, const bw_conv_shape *s)
{
    bw_status st = BW_OK;
    int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad);
    int64_t ow = bw__conv_out(s->w, s->kernel, s->stride, s->pad);
    dnnl_dims_t src = { s->n, s->ic, s->h, s->w }, dst = { s->n, s->oc, oh, ow };
    dnnl_dims_t weights = { s->oc, s->ic, s->kernel, s->kernel };
    dnnl_data_type_t type = bw__onednn_type(s->type);
    bw_md_conv *c = &d->conv;
    conv_name(d->what, sizeof d->what, s);
    for (int i = 0; i < 2; i++) {
        c->strides[i] = s->stride;
        c->dilates[i] = 0;
        c->padding[i] = s->pad;
    }
    DNNL_TRY(bw__md_with_tag(&c->src, 4, src, type, dnnl_nhwc), d->what);
    DNNL_TRY(bw__md_with_tag(&c->dst, 4, dst, type, dnnl_nhwc), d->what);
    DNNL_TRY(bw__md_with_tag(&c->weights, 4, weights, type, dnnl_format_tag_any), d->what);
    DNNL_TRY(bw__md_with_tag(&c->diff_weights, 4, weights, dnnl_f32, dnnl_format_tag_any), d->what);
    DNNL_TRY(bw__md_with_tag(&d->oihw, 4, weights, dnnl_f32, dnnl_oihw), d->what);
out:
    return st;
}

static bw_status create_forward(bw_conv *c, bw_exec *x, const conv_descs *d, dnnl_primitive_attr_t attr)
{
    bw_status st = BW_OK;
    bw_primitive *p = &c->forward;
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
    DNNL_TRY(bw__pd_conv_forward(&p->desc, x->kernels->engine, &d->conv, attr), d->what);
    BW_TRY(bw__primitive_finish(p, x, d->what, 3, query, arg));
    BW_TRY(bw__primitive_reorder(p, x, d->what, 1, bw__md_view(&d->oihw), false));
out:
    return st;
}

static bw_status create_backward_data(bw_conv *c, bw_exec *x, const conv_descs *d, dnnl_primitive_attr_t attr)
{
    bw_status st = BW_OK;
    bw_primitive *p = &c->backward_data;
    const dnnl_query_t query[] = { dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md };
    const int arg[] = { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST };
    DNNL_TRY(bw__pd_conv_backward_data(&p->desc, x->kernels->engine, &d->conv, c->forward.desc, attr),
             d->what);
    BW_TRY(bw__primitive_finish(p, x, d->what, 3, query, arg));
    BW_TRY(bw__primitive_reorder(p, x, d->what, 1, bw__md_view(&d->oihw), false));
out:
    return st;
}

static bw_status create_backward_weights(bw_conv *c, bw_exec *x, const conv_descs *d,
                                         dnnl_primitive_attr_t attr)
{
    bw_status st = BW_OK;
    bw_primitive *p = &c->backward_weights;
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST };
    DNNL_TRY(bw__pd_conv_backward_weights(&p->desc, x->kernels->engine, &d->conv, c->forward.desc, attr),
             d->what);
    BW_TRY(bw__primitive_finish(p, x, d->what, 3, query, arg));
    BW_TRY(bw__primitive_reorder(p, x, d->what, 1, bw__md_view(&d->oihw), true));
out:
    return st;
}

bw_status bw__conv_create_as(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes,
                             unsigned as_products)
{
    bw_status st = BW_OK;
    bw_conv *c = NULL;
    dnnl_primitive_attr_t attr = NULL;
    conv_descs d = { 0 };
    const int before = bw__exec_swap_threads(x->threads);
    *out = NULL;
    BW_TRY(BW_ALLOC(&c, 1));
    c->shape = *shape;
    BW_TRY(conv_describe(&d, shape));
    BW_TRY(bw__onednn_attr(&attr));
    c->as_products = as_products;
    passes &= ~as_products;
    if (passes) BW_TRY(create_forward(c, x, &d, attr)); /* also the hint of the other two */
    if (passes & BW_PASS_BACKWARD_DATA) BW_TRY(create_backward_data(c, x, &d, attr));
    if (passes & BW_PASS_BACKWARD_WEIGHTS) BW_TRY(create_backward_weights(c, x, &d, attr));
    *out = c;
    c = NULL;
out:
    (void)bw__exec_swap_threads(before);
    if (attr) dnnl_primitive_attr_destroy(attr);
    conv_descs_clear(&d);
    bw__conv_free(c);
    return st;
}

static int64_t src_count(const bw_conv_shape *s)
{
    return s->n * s->h * s->w * s->ic;
}

static int64_t dst_count(const bw_conv_shape *s)
{
    return s->n * bw__conv_out(s->h, s->kernel, s->stride, s->pad) *
           bw__conv_out(s->w, s->kernel, s->stride, s->pad) * s->oc;
}

static int64_t weights_count(const bw_conv_shape *s)
{
    return s->oc * s->ic * s->kernel * s->kernel;
}

/* Copies of activations that a convolution of bf16 through f32 may have at once: as a whole they would take
 * twice what bf16 is to save. */
static const int64_t COPY_BYTES = (int64_t)32 << 20;

static int64_t images_at_a_time(const bw_conv_shape *s)
{
    int64_t image = (src_count(s) + dst_count(s)) / s->n * (int64_t)sizeof(float), most = COPY_BYTES / image;
    for (int64_t n = most < s->n ? most : s->n; n > 1; n--)
        if (s->n % n == 0) return n;
    return 1;
}

static bw_status create_in_f32(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes)
{
    bw_status st = BW_OK;
    bw_conv *c = NULL;
    bw_conv_shape f32 = *shape;
    f32.type = BW_F32;
    f32.n = images_at_a_time(shape);
    BW_TRY(BW_ALLOC(&c, 1));
    c->shape = *shape;
    BW_TRY(bw__conv_create(&c->in_f32, x, &f32, passes));
    *out = c;
    c = NULL;
out:
    bw__conv_free(c);
    return st;
}

bw_status bw__conv_create(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes)
{
    *out = NULL;
    bw_bf16 have = shape->type == BW_BF16 ? bw__exec_bf16() : BW_BF16_NONE;
    bw_status st = conv_check_size(shape);
    if (st != BW_OK) return st;
    if (have == BW_BF16_EMULATED) return create_in_f32(out, x, shape, passes);
    st = bw__conv_create_as(out, x, shape, passes, bw__conv_passes_as_products(shape));
    /* A processor with bf16 for most shapes: the others, such as a stem of three channels, cost a copy. */
    if (st == BW_EKERNEL && have != BW_BF16_NONE) st = create_in_f32(out, x, shape, passes);
    return st;
}

void bw__conv_free(bw_conv *c)
{
    if (!c) return;
    bw__conv_free(c->in_f32);
    bw__primitive_clear(&c->forward);
    bw__primitive_clear(&c->backward_data);
    bw__primitive_clear(&c->backward_weights);
    bw__free(c);
}

const bw_conv_shape *bw__conv_get_shape(const bw_conv *c)
{
    return &c->shape;
}

int64_t bw__conv_flops(const bw_conv *c)
{
    const bw_conv_shape *s = &c->shape;
    return 2 * s->n * bw__conv_out(s->h, s->kernel, s->stride, s->pad) *
           bw__conv_out(s->w, s->kernel, s->stride, s->pad) * s->oc * s->ic * s->kernel * s->kernel;
}

/* Row of a profile. */
static const char *kind(const bw_conv *c)
{
    return c->shape.kernel == 1   ? "convolution 1x1"
           : c->shape.kernel == 3 ? "convolution 3x3"
                                  : "convolution, other";
}

/* Forward, from src to dst, or backward data, from diff_dst to diff_src. */
static bw_status data_in_f32(bw_conv *c, bw_exec *x, bw_passes pass, void *to, const void *from,
                             const float *weights)
{
    bw_status st = BW_OK;
    const bw_type t = c->shape.type;
    const bool forward = pass == BW_PASS_FORWARD;
    const int64_t ns = src_count(&c->in_f32->shape), nd = dst_count(&c->in_f32->shape);
    const int64_t n_to = forward ? nd : ns, n_from = forward ? ns : nd;
    size_t mark = bw__exec_mark(x);
    const float *w = bw__rounded_copy(x, t, weights, weights_count(&c->shape));
    float *result = bw__exec_take_f32(x, n_to);
    for (int64_t i = 0; i < c->shape.n / c->in_f32->shape.n && st == BW_OK; i++) {
        size_t inner = bw__exec_mark(x);
        const float *copy = bw__f32_copy(x, t, bw__const_at(t, from, i * n_from), n_from);
        st = forward ? bw__conv_forward(c->in_f32, x, result, copy, w)
                     : bw__conv_backward_data(c->in_f32, x, result, copy, w);
        bw__from_f32(x, t, bw__at(t, to, i * n_to), result, n_to);
        bw__exec_release(x, inner);
    }
    bw__exec_release(x, mark);
    return st;
}

static bw_status backward_weights_in_f32(bw_conv *c, bw_exec *x, float *diff_weights, const void *src,
                                         const void *diff_dst)
{
    bw_status st = BW_OK;
    const bw_type t = c->shape.type;
    const int64_t ns = src_count(&c->in_f32->shape), nd = dst_count(&c->in_f32->shape),
                  nw = weights_count(&c->shape);
    size_t mark = bw__exec_mark(x);
    float *part = bw__exec_take_f32(x, nw);
    for (int64_t i = 0; i < c->shape.n / c->in_f32->shape.n && st == BW_OK; i++) {
        size_t inner = bw__exec_mark(x);
        const float *s = bw__f32_copy(x, t, bw__const_at(t, src, i * ns), ns);
        const float *d = bw__f32_copy(x, t, bw__const_at(t, diff_dst, i * nd), nd);
        st = bw__conv_backward_weights(c->in_f32, x, i ? part : diff_weights, s, d);
        if (i) bw__add(x, BW_F32, diff_weights, diff_weights, part, nw);
        bw__exec_release(x, inner);
    }
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__conv_forward(bw_conv *c, bw_exec *x, void *dst, const void *src, const float *weights)
{
    if (c->in_f32) return data_in_f32(c, x, BW_PASS_FORWARD, dst, src, weights);
    void *data[] = { bw__onednn_readable(src), bw__onednn_readable(weights), dst };
    double begin = bw__profile_begin(x);
    bw_status st;
    if (c->as_products & BW_PASS_FORWARD) {
        st = bw__gemm_conv_forward(&c->shape, x, dst, src, weights);
    } else {
        BW_ASSERT(c->forward.primitive);
        st = bw__primitive_run(&c->forward, x, data, false);
    }
    bw__profile_end(x, begin, kind(c), "forward", bw__conv_flops(c));
    return st;
}

bw_status bw__conv_backward_data(bw_conv *c, bw_exec *x, void *diff_src, const void *diff_dst,
                                 const float *weights)
{
    if (c->in_f32) return data_in_f32(c, x, BW_PASS_BACKWARD_DATA, diff_src, diff_dst, weights);
    void *data[] = { diff_src, bw__onednn_readable(weights), bw__onednn_readable(diff_dst) };
    double begin = bw__profile_begin(x);
    bw_status st;
    if (c->as_products & BW_PASS_BACKWARD_DATA) {
        st = bw__gemm_conv_backward_data(&c->shape, x, diff_src, diff_dst, weights);
    } else {
        BW_ASSERT(c->backward_data.primitive);
        st = bw__primitive_run(&c->backward_data, x, data, false);
    }
    bw__profile_end(x, begin, kind(c), "backward data", bw__conv_flops(c));
    return st;
}

bw_status bw__conv_backward_weights(bw_conv *c, bw_exec *x, float *diff_weights, const void *src,
                                    const void *diff_dst)
{
    if (c->in_f32) return backward_weights_in_f32(c, x, diff_weights, src, diff_dst);
    void *data[] = { bw__onednn_readable(src), diff_weights, bw__onednn_readable(diff_dst) };
    double begin = bw__profile_begin(x);
    bw_status st;
    if (c->as_products & BW_PASS_BACKWARD_WEIGHTS) {
        st = bw__gemm_conv_backward_weights(&c->shape, x, diff_weights, src, diff_dst);
    } else {
        BW_ASSERT(c->backward_weights.primitive);
        st = bw__primitive_run(&c->backward_weights, x, data, true);
    }
    bw__profile_end(x, begin, kind(c), "backward weights", bw__conv_flops(c));
    return st;
}
