/* Everything in which the C interface of oneDNN 3.x differs from 2.6, as functions that look the same for
 * both. No other file asks for the version, and none calls what is wrapped here. scripts/check_onednn3.sh
 * holds the second half of this file against the headers of a 3.x: a check of syntax and types; the project
 * has run with 2.6 only.
 *
 * Memory descriptors are values in 2.x and handles to be destroyed in 3.x. A bw_md is one that we own, to be
 * cleared; a bw_md_view is borrowed. Primitive descriptors are made from operation descriptors in 2.x and
 * directly in 3.x. */
#ifndef BW_NN_ONEDNN_VERSION_H
#define BW_NN_ONEDNN_VERSION_H
#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>

#if DNNL_VERSION_MAJOR != 2 && DNNL_VERSION_MAJOR != 3
#error "oneDNN 2.6 or a later 2.x, or 3.x is needed"
#endif

typedef dnnl_memory_desc_t bw_md;

/* What the three passes of a convolution have in common: no dilation, padding alike on both sides. */
typedef struct bw_md_conv {
    bw_md src, weights, diff_weights, dst;
    dnnl_dims_t strides, dilates, padding;
} bw_md_conv;

#if DNNL_VERSION_MAJOR == 2

typedef const dnnl_memory_desc_t *bw_md_view;

static inline bw_md_view bw__md_view(const bw_md *md)
{
    return md;
}

static inline void bw__md_clear(bw_md *md)
{
    *md = (bw_md){ 0 };
}

static inline dnnl_status_t bw__md_with_tag(bw_md *out, int n, const dnnl_dims_t dims, dnnl_data_type_t type,
                                            dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(out, n, dims, type, tag);
}

static inline dnnl_status_t bw__md_with_strides(bw_md *out, int n, const dnnl_dims_t dims,
                                                dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return dnnl_memory_desc_init_by_strides(out, n, dims, type, strides);
}

static inline dnnl_status_t bw__pd_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                const bw_md_conv *c, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &d, dnnl_forward_training, dnnl_convolution_direct, &c->src, &c->weights, NULL, &c->dst, c->strides,
        c->dilates, c->padding, c->padding);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &d, attr, engine, NULL) : status;
}

static inline dnnl_status_t bw__pd_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                      const bw_md_conv *c,
                                                      const_dnnl_primitive_desc_t forward,
                                                      const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &d, dnnl_convolution_direct, &c->src, &c->weights, &c->dst, c->strides, c->dilates, c->padding,
        c->padding);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &d, attr, engine, forward) : status;
}

static inline dnnl_status_t bw__pd_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                         const bw_md_conv *c,
                                                         const_dnnl_primitive_desc_t forward,
                                                         const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &d, dnnl_convolution_direct, &c->src, &c->diff_weights, NULL, &c->dst, c->strides, c->dilates,
        c->padding, c->padding);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &d, attr, engine, forward) : status;
}

static inline dnnl_status_t bw__pd_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const bw_md *a,
                                          const bw_md *b, const bw_md *dst, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, a, b, NULL, dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &d, attr, engine, NULL) : status;
}

static inline dnnl_status_t bw__post_ops_add_sum(dnnl_post_ops_t post)
{
    return dnnl_post_ops_append_sum(post, 1.0f);
}

#else /* 3.x */

typedef const_dnnl_memory_desc_t bw_md_view;

static inline bw_md_view bw__md_view(const bw_md *md)
{
    return *md;
}

static inline void bw__md_clear(bw_md *md)
{
    if (*md) dnnl_memory_desc_destroy(*md);
    *md = NULL;
}

static inline dnnl_status_t bw__md_with_tag(bw_md *out, int n, const dnnl_dims_t dims, dnnl_data_type_t type,
                                            dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(out, n, dims, type, tag);
}

static inline dnnl_status_t bw__md_with_strides(bw_md *out, int n, const dnnl_dims_t dims,
                                                dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return dnnl_memory_desc_create_with_strides(out, n, dims, type, strides);
}

static inline dnnl_status_t bw__pd_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                const bw_md_conv *c, const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_training, dnnl_convolution_direct, c->src, c->weights, NULL, c->dst,
        c->strides, c->dilates, c->padding, c->padding, attr);
}

static inline dnnl_status_t bw__pd_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                      const bw_md_conv *c,
                                                      const_dnnl_primitive_desc_t forward,
                                                      const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct, c->src,
                                                                c->weights, c->dst, c->strides, c->dilates,
                                                                c->padding, c->padding, forward, attr);
}

static inline dnnl_status_t bw__pd_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                         const bw_md_conv *c,
                                                         const_dnnl_primitive_desc_t forward,
                                                         const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, dnnl_convolution_direct, c->src, c->diff_weights, NULL, c->dst, c->strides, c->dilates,
        c->padding, c->padding, forward, attr);
}

static inline dnnl_status_t bw__pd_matmul(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const bw_md *a,
                                          const bw_md *b, const bw_md *dst, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(out, engine, *a, *b, NULL, *dst, attr);
}

/* 3.x can give the sum another zero point and type: none here. */
static inline dnnl_status_t bw__post_ops_add_sum(dnnl_post_ops_t post)
{
    return dnnl_post_ops_append_sum(post, 1.0f, 0, dnnl_data_type_undef);
}

#endif

/* The values are bit sets. */
static inline bool bw__cpu_isa_has(dnnl_cpu_isa_t isa, dnnl_cpu_isa_t wanted)
{
    return ((unsigned)isa & (unsigned)wanted) == (unsigned)wanted;
}

/* Those of 3.x have names that 2.6 does not know: what is not listed is named by the largest listed set that
 * it contains. */
static inline const char *bw__cpu_isa_name(dnnl_cpu_isa_t isa)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } KNOWN[] = {
#if DNNL_VERSION_MAJOR == 3
        { dnnl_cpu_isa_avx512_core_amx_fp16, "AVX-512 with AMX and fp16" },
#endif
        { dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX" },
#if DNNL_VERSION_MAJOR == 3
        { dnnl_cpu_isa_avx512_core_fp16, "AVX-512 with fp16" },
#endif
        { dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bf16" },
        { dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI" },
        { dnnl_cpu_isa_avx512_core, "AVX-512" },
#if DNNL_VERSION_MAJOR == 3
        { dnnl_cpu_isa_avx2_vnni_2, "AVX2 with VNNI and converts" },
#endif
        { dnnl_cpu_isa_avx2_vnni, "AVX2 with VNNI" },
        { dnnl_cpu_isa_avx2, "AVX2" },
        { dnnl_cpu_isa_avx, "AVX" },
        { dnnl_cpu_isa_sse41, "SSE4.1" },
    };
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++)
        if (bw__cpu_isa_has(isa, KNOWN[i].isa)) return KNOWN[i].name;
    return "generic";
}
#endif
