/* Every call of oneDNN is in this file: engine, convolution, matrix product, reorders (C API of 2.x). */
#include "base/memory.h"
#include "nn/conv.h"
#include "nn/matmul.h"
#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#define MAX_ARGS 4

struct bw_kernels {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

static bw_status kernel_fail(dnnl_status_t status, const char *what)
{
    return bw_fail(status == dnnl_out_of_memory ? BW_ENOMEM : BW_EKERNEL, "oneDNN %s refused: %s (code %d)",
                   bw__exec_library(), what, (int)status);
}

#define DNNL_TRY(call, what)                                                                                 \
    do {                                                                                                     \
        dnnl_status_t ds_ = (call);                                                                          \
        if (ds_ != dnnl_success) {                                                                           \
            st = kernel_fail(ds_, (what));                                                                   \
            goto out;                                                                                        \
        }                                                                                                    \
    } while (0)

bw_status bw__exec_create(bw_exec *out, int threads)
{
    bw_status st = BW_OK;
    bw_exec x = { .arena = bw__arena_dry(), .side = BW_LOW, .threads = threads };
    *out = (bw_exec){ 0 };
    omp_set_num_threads(threads);
    BW_TRY(BW_ALLOC(&x.kernels, 1));
    DNNL_TRY(dnnl_engine_create(&x.kernels->engine, dnnl_cpu, 0), "an engine for this processor");
    DNNL_TRY(dnnl_stream_create(&x.kernels->stream, x.kernels->engine, dnnl_stream_default_flags),
             "a stream");
    *out = x;
    x.kernels = NULL;
out:
    bw__exec_destroy(&x);
    return st;
}

void bw__exec_destroy(bw_exec *x)
{
    if (x->kernels) {
        if (x->kernels->stream) dnnl_stream_destroy(x->kernels->stream);
        if (x->kernels->engine) dnnl_engine_destroy(x->kernels->engine);
        bw__free(x->kernels);
        bw__arena_destroy(&x->arena);
    }
    *x = (bw_exec){ 0 };
}

const char *bw__exec_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "SSE4.1";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
        return "AVX2 with VNNI";
    case dnnl_cpu_isa_avx512_core:
        return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX-512 with VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX-512 with bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX-512 with AMX";
    default:
        return "generic";
    }
}

const char *bw__exec_library(void)
{
    static _Thread_local char text[32];
    const dnnl_version_t *v = dnnl_version();
    (void)snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* ---- one primitive with its arguments, and a private layout for the weights where it wants one ---- */

typedef struct bw_primitive {
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t desc;
    int n_args;
    int arg[MAX_ARGS];
    dnnl_memory_t memory[MAX_ARGS]; /* created without data; handles are set for each run */
    size_t scratchpad_bytes;
    dnnl_memory_t scratchpad;
    /* OIHW -> the primitive's weights (forward, backward data), or its diff weights -> OIHW. */
    dnnl_primitive_t reorder;
    dnnl_memory_t plain; /* OIHW side of the reorder */
    int weights_slot;    /* index of the reordered argument, or -1 */
    size_t weights_bytes;
} bw_primitive;

static void primitive_clear(bw_primitive *p)
{
    for (int i = 0; i < MAX_ARGS; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    if (p->scratchpad) dnnl_memory_destroy(p->scratchpad);
    if (p->plain) dnnl_memory_destroy(p->plain);
    if (p->reorder) dnnl_primitive_destroy(p->reorder);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->desc) dnnl_primitive_desc_destroy(p->desc);
    memset(p, 0, sizeof *p);
}

/* Creates memory objects for the arguments named by query and argument, and refuses a reference kernel. */
static bw_status primitive_finish(bw_primitive *p, bw_exec *x, const char *what, int n_args,
                                  const dnnl_query_t *query, const int *arg)
{
    bw_status st = BW_OK;
    const char *name = "";
    const dnnl_memory_desc_t *md;
    p->weights_slot = -1;
    DNNL_TRY(dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name), what);
    if (strncmp(name, "ref", 3) == 0)
        return bw_fail(BW_EKERNEL,
                       "oneDNN %s has only its reference kernel (%s) for %s; choose sizes with channels in "
                       "multiples of 8",
                       bw__exec_library(), name, what);
    DNNL_TRY(dnnl_primitive_create(&p->primitive, p->desc), what);
    p->n_args = n_args;
    for (int i = 0; i < n_args; i++) {
        md = dnnl_primitive_desc_query_md(p->desc, query[i], 0);
        p->arg[i] = arg[i];
        DNNL_TRY(dnnl_memory_create(&p->memory[i], md, x->kernels->engine, DNNL_MEMORY_NONE), what);
    }
    md = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    p->scratchpad_bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    if (p->scratchpad_bytes)
        DNNL_TRY(dnnl_memory_create(&p->scratchpad, md, x->kernels->engine, DNNL_MEMORY_NONE), what);
out:
    return st;
}

/* Adds the reorder between OIHW and argument `slot`, unless the primitive uses OIHW itself. */
static bw_status primitive_reorder(bw_primitive *p, bw_exec *x, const char *what, int slot,
                                   const dnnl_memory_desc_t *oihw, bool to_plain)
{
    bw_status st = BW_OK;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr = NULL;
    const dnnl_memory_desc_t *own;
    DNNL_TRY(dnnl_memory_get_memory_desc(p->memory[slot], &own), what);
    if (dnnl_memory_desc_equal(own, oihw)) goto out;
    DNNL_TRY(dnnl_primitive_attr_create(&attr), what);
    DNNL_TRY(dnnl_reorder_primitive_desc_create(&desc, to_plain ? own : oihw, x->kernels->engine,
                                                to_plain ? oihw : own, x->kernels->engine, attr),
             what);
    DNNL_TRY(dnnl_primitive_create(&p->reorder, desc), what);
    DNNL_TRY(dnnl_memory_create(&p->plain, oihw, x->kernels->engine, DNNL_MEMORY_NONE), what);
    p->weights_slot = slot;
    p->weights_bytes = dnnl_memory_desc_get_size(own);
out:
    if (attr) dnnl_primitive_attr_destroy(attr);
    if (desc) dnnl_primitive_desc_destroy(desc);
    return st;
}

static bw_status run_reorder(bw_primitive *p, bw_exec *x, bool to_plain)
{
    dnnl_exec_arg_t args[2] = { { DNNL_ARG_FROM, to_plain ? p->memory[p->weights_slot] : p->plain },
                                { DNNL_ARG_TO, to_plain ? p->plain : p->memory[p->weights_slot] } };
    dnnl_status_t ds = dnnl_primitive_execute(p->reorder, x->kernels->stream, 2, args);
    return ds == dnnl_success ? BW_OK : kernel_fail(ds, "reorder of weights");
}

/* Runs with data[i] for argument i. `weights_out`: the reordered argument is an output. */
static bw_status primitive_run(bw_primitive *p, bw_exec *x, void *const *data, bool weights_out)
{
    bw_status st = BW_OK;
    size_t mark = bw__exec_mark(x);
    int slot = p->weights_slot;
    void *own = slot >= 0 ? bw__arena_take(&x->arena, x->side, p->weights_bytes) : NULL;
    void *scratch = p->scratchpad_bytes ? bw__arena_take(&x->arena, x->side, p->scratchpad_bytes) : NULL;
    dnnl_exec_arg_t args[MAX_ARGS + 1];
    int n = 0;
    if (bw__exec_is_dry(x)) goto out;
    for (int i = 0; i < p->n_args; i++) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->memory[i], i == slot ? own : data[i]), "a buffer");
        args[n++] = (dnnl_exec_arg_t){ p->arg[i], p->memory[i] };
    }
    if (slot >= 0) DNNL_TRY(dnnl_memory_set_data_handle(p->plain, data[slot]), "a buffer");
    if (scratch) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->scratchpad, scratch), "a buffer");
        args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_SCRATCHPAD, p->scratchpad };
    }
    if (slot >= 0 && !weights_out) BW_TRY(run_reorder(p, x, false));
    DNNL_TRY(dnnl_primitive_execute(p->primitive, x->kernels->stream, n, args), "to run");
    if (slot >= 0 && weights_out) BW_TRY(run_reorder(p, x, true));
    DNNL_TRY(dnnl_stream_wait(x->kernels->stream), "to finish");
out:
    bw__exec_release(x, mark);
    return st;
}

static bw_status scratch_attr(dnnl_primitive_attr_t *attr)
{
    bw_status st = BW_OK;
    *attr = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(attr), "attributes");
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user), "a user scratchpad");
out:
    return st;
}

static dnnl_data_type_t data_type(bw_type type)
{
    return type == BW_BF16 ? dnnl_bf16 : dnnl_f32;
}

static const char *type_name(bw_type type)
{
    return type == BW_BF16 ? "bf16" : "f32";
}

/* ---- convolution ---- */

struct bw_conv {
    bw_conv_shape shape;
    bw_primitive forward, backward_data, backward_weights;
};

typedef struct bw_conv_descs {
    dnnl_memory_desc_t src, weights, diff_weights, dst, oihw;
    dnnl_dims_t strides, dilates, padding;
    char what[160];
} bw_conv_descs;

static bw_status conv_describe(bw_conv_descs *d, const bw_conv_shape *s)
{
    bw_status st = BW_OK;
    int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad);
    int64_t ow = bw__conv_out(s->w, s->kernel, s->stride, s->pad);
    dnnl_dims_t src = { s->n, s->ic, s->h, s->w }, dst = { s->n, s->oc, oh, ow };
    dnnl_dims_t weights = { s->oc, s->ic, s->kernel, s->kernel };
    dnnl_data_type_t type = data_type(s->type);
    (void)snprintf(d->what, sizeof d->what,
                   "convolution %dx%d/%d of %s [%lld, %lld, %lld, %lld] to %lld channels", s->kernel,
                   s->kernel, s->stride, type_name(s->type), (long long)s->n, (long long)s->h,
                   (long long)s->w, (long long)s->ic, (long long)s->oc);
    for (int i = 0; i < 2; i++) {
        d->strides[i] = s->stride;
        d->dilates[i] = 0;
        d->padding[i] = s->pad;
    }
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->src, 4, src, type, dnnl_nhwc), d->what);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->dst, 4, dst, type, dnnl_nhwc), d->what);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->weights, 4, weights, type, dnnl_format_tag_any), d->what);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->diff_weights, 4, weights, dnnl_f32, dnnl_format_tag_any),
             d->what);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->oihw, 4, weights, dnnl_f32, dnnl_oihw), d->what);
out:
    return st;
}

static bw_status conv_create_backward_data(bw_conv *c, bw_exec *x, bw_conv_descs *d,
                                           dnnl_primitive_attr_t attr)
{
    bw_status st = BW_OK;
    dnnl_convolution_desc_t cd;
    const dnnl_query_t query[] = { dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md };
    const int arg[] = { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST };
    DNNL_TRY(dnnl_dilated_convolution_backward_data_desc_init(&cd, dnnl_convolution_direct, &d->src,
                                                              &d->weights, &d->dst, d->strides, d->dilates,
                                                              d->padding, d->padding),
             d->what);
    DNNL_TRY(
        dnnl_primitive_desc_create(&c->backward_data.desc, &cd, attr, x->kernels->engine, c->forward.desc),
        d->what);
    BW_TRY(primitive_finish(&c->backward_data, x, d->what, 3, query, arg));
    BW_TRY(primitive_reorder(&c->backward_data, x, d->what, 1, &d->oihw, false));
out:
    return st;
}

static bw_status conv_create_backward_weights(bw_conv *c, bw_exec *x, bw_conv_descs *d,
                                              dnnl_primitive_attr_t attr)
{
    bw_status st = BW_OK;
    dnnl_convolution_desc_t cd;
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST };
    DNNL_TRY(dnnl_dilated_convolution_backward_weights_desc_init(&cd, dnnl_convolution_direct, &d->src,
                                                                 &d->diff_weights, NULL, &d->dst, d->strides,
                                                                 d->dilates, d->padding, d->padding),
             d->what);
    DNNL_TRY(
        dnnl_primitive_desc_create(&c->backward_weights.desc, &cd, attr, x->kernels->engine, c->forward.desc),
        d->what);
    BW_TRY(primitive_finish(&c->backward_weights, x, d->what, 3, query, arg));
    BW_TRY(primitive_reorder(&c->backward_weights, x, d->what, 1, &d->oihw, true));
out:
    return st;
}

bw_status bw__conv_create(bw_conv **out, bw_exec *x, const bw_conv_shape *shape, unsigned passes)
{
    bw_status st = BW_OK;
    bw_conv *c = NULL;
    dnnl_primitive_attr_t attr = NULL;
    bw_conv_descs d;
    dnnl_convolution_desc_t cd;
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
    *out = NULL;
    BW_TRY(BW_ALLOC(&c, 1));
    c->shape = *shape;
    BW_TRY(conv_describe(&d, shape));
    BW_TRY(scratch_attr(&attr));
    DNNL_TRY(dnnl_dilated_convolution_forward_desc_init(&cd, dnnl_forward_training, dnnl_convolution_direct,
                                                        &d.src, &d.weights, NULL, &d.dst, d.strides,
                                                        d.dilates, d.padding, d.padding),
             d.what);
    DNNL_TRY(dnnl_primitive_desc_create(&c->forward.desc, &cd, attr, x->kernels->engine, NULL), d.what);
    BW_TRY(primitive_finish(&c->forward, x, d.what, 3, query, arg));
    BW_TRY(primitive_reorder(&c->forward, x, d.what, 1, &d.oihw, false));
    if (passes & BW_PASS_BACKWARD_DATA) BW_TRY(conv_create_backward_data(c, x, &d, attr));
    if (passes & BW_PASS_BACKWARD_WEIGHTS) BW_TRY(conv_create_backward_weights(c, x, &d, attr));
    *out = c;
    c = NULL;
out:
    if (attr) dnnl_primitive_attr_destroy(attr);
    bw__conv_free(c);
    return st;
}

void bw__conv_free(bw_conv *c)
{
    if (!c) return;
    primitive_clear(&c->forward);
    primitive_clear(&c->backward_data);
    primitive_clear(&c->backward_weights);
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

/* oneDNN takes every buffer as void *, also those it only reads. */
static void *readable(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = { p };
    return u.out;
}

bw_status bw__conv_forward(bw_conv *c, bw_exec *x, void *dst, const void *src, const float *weights)
{
    void *data[] = { readable(src), readable(weights), dst };
    return primitive_run(&c->forward, x, data, false);
}

bw_status bw__conv_backward_data(bw_conv *c, bw_exec *x, void *diff_src, const void *diff_dst,
                                 const float *weights)
{
    void *data[] = { diff_src, readable(weights), readable(diff_dst) };
    BW_ASSERT(c->backward_data.primitive);
    return primitive_run(&c->backward_data, x, data, false);
}

bw_status bw__conv_backward_weights(bw_conv *c, bw_exec *x, float *diff_weights, const void *src,
                                    const void *diff_dst)
{
    void *data[] = { readable(src), diff_weights, readable(diff_dst) };
    BW_ASSERT(c->backward_weights.primitive);
    return primitive_run(&c->backward_weights, x, data, true);
}

/* ---- matrix product ---- */

struct bw_matmul {
    bw_matmul_shape shape;
    bw_primitive primitive;
};

/* The logical matrix [rows, columns], stored as it is or transposed with rows `ld` elements apart. */
static dnnl_status_t matrix_describe(dnnl_memory_desc_t *md, int64_t rows, int64_t columns, bw_type type,
                                     bool transposed, int64_t ld)
{
    int64_t dense = transposed ? rows : columns;
    dnnl_dims_t dims = { rows, columns }, strides;
    if (ld == 0) ld = dense;
    BW_ASSERT(ld >= dense);
    strides[0] = transposed ? 1 : ld;
    strides[1] = transposed ? ld : 1;
    return dnnl_memory_desc_init_by_strides(md, 2, dims, data_type(type), strides);
}

bw_status bw__matmul_create(bw_matmul **out, bw_exec *x, const bw_matmul_shape *shape)
{
    bw_status st = BW_OK;
    const bw_matmul_shape s = *shape;
    bw_matmul *mm = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_matmul_desc_t desc;
    dnnl_memory_desc_t a, b, dst;
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
    char what[96];
    *out = NULL;
    (void)snprintf(what, sizeof what, "matrix product of %s [%lld, %lld] x [%lld, %lld]", type_name(s.type),
                   (long long)s.m, (long long)s.k, (long long)s.k, (long long)s.n);
    BW_TRY(BW_ALLOC(&mm, 1));
    mm->shape = s;
    BW_TRY(scratch_attr(&attr));
    if (s.accumulate) {
        DNNL_TRY(dnnl_post_ops_create(&post), what);
        DNNL_TRY(dnnl_post_ops_append_sum(post, 1.0f), what);
        DNNL_TRY(dnnl_primitive_attr_set_post_ops(attr, post), what);
    }
    DNNL_TRY(matrix_describe(&a, s.m, s.k, s.type, s.transpose_a, s.lda), what);
    DNNL_TRY(matrix_describe(&b, s.k, s.n, s.type, s.transpose_b, s.ldb), what);
    DNNL_TRY(matrix_describe(&dst, s.m, s.n, BW_F32, false, s.ldc), what);
    DNNL_TRY(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &dst), what);
    DNNL_TRY(dnnl_primitive_desc_create(&mm->primitive.desc, &desc, attr, x->kernels->engine, NULL), what);
    BW_TRY(primitive_finish(&mm->primitive, x, what, 3, query, arg));
    *out = mm;
    mm = NULL;
out:
    if (post) dnnl_post_ops_destroy(post);
    if (attr) dnnl_primitive_attr_destroy(attr);
    bw__matmul_free(mm);
    return st;
}

void bw__matmul_free(bw_matmul *mm)
{
    if (!mm) return;
    primitive_clear(&mm->primitive);
    bw__free(mm);
}

int64_t bw__matmul_flops(const bw_matmul *mm)
{
    return 2 * mm->shape.m * mm->shape.n * mm->shape.k;
}

bw_status bw__matmul_run(bw_matmul *mm, bw_exec *x, float *dst, const void *a, const void *b)
{
    void *data[] = { readable(a), readable(b), dst };
    return primitive_run(&mm->primitive, x, data, false);
}

bw_status bw__sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb, bool accumulate, float *c, int64_t ldc)
{
    dnnl_status_t ds = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b,
                                  ldb, accumulate ? 1.0f : 0.0f, c, ldc);
    return ds == dnnl_success ? BW_OK : kernel_fail(ds, "a matrix product");
}
