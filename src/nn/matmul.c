#include "nn/matmul.h"
#include "base/memory.h"
#include "nn/elementwise.h"
#include "nn/onednn.h"
#include <stdio.h>

struct bw_matmul {
    bw_matmul_shape shape;
    bool in_f32; /* a and b are bf16, and converted before the product of f32 */
    bw_primitive primitive;
};

/* The logical matrix [rows, columns], stored as it is or transposed with rows `ld` elements apart. */
static dnnl_status_t matrix_describe(bw_md *md, int64_t rows, int64_t columns, bw_type type, bool transposed,
                                     int64_t ld)
{
    int64_t dense = transposed ? rows : columns;
    dnnl_dims_t dims = { rows, columns }, strides;
    if (ld == 0) ld = dense;
    BW_ASSERT(ld >= dense);
    strides[0] = transposed ? 1 : ld;
    strides[1] = transposed ? ld : 1;
    return bw__md_with_strides(md, 2, dims, bw__onednn_type(type), strides);
}

bw_status bw__matmul_create(bw_matmul **out, bw_exec *x, const bw_matmul_shape *shape)
{
    bw_status st = BW_OK;
    const bw_matmul_shape s = *shape;
    bw_matmul *mm = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    bw_md a = { 0 }, b = { 0 }, dst = { 0 };
    const dnnl_query_t query[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
    char what[96];
    const int before = bw__exec_swap_threads(x->threads);
    *out = NULL;
    (void)snprintf(what, sizeof what, "matrix product of %s [%lld, %lld] x [%lld, %lld]",
                   bw__onednn_type_name(s.type), (long long)s.m, (long long)s.k, (long long)s.k,
                   (long long)s.n);
    BW_TRY(bw__onednn_check_size(what, 2, (const int64_t[]){ s.m, s.k }));
    BW_TRY(bw__onednn_check_size(what, 2, (const int64_t[]){ s.k, s.n }));
    BW_TRY(bw__onednn_check_size(what, 2, (const int64_t[]){ s.m, s.n }));
    BW_TRY(BW_ALLOC(&mm, 1));
    mm->shape = s;
    mm->in_f32 = s.type == BW_BF16 && bw__exec_bf16() == BW_BF16_EMULATED;
    const bw_type type = mm->in_f32 ? BW_F32 : s.type;
    BW_TRY(bw__onednn_attr(&attr));
    if (s.accumulate) {
        DNNL_TRY(dnnl_post_ops_create(&post), what);
        DNNL_TRY(bw__post_ops_add_sum(post), what);
        DNNL_TRY(dnnl_primitive_attr_set_post_ops(attr, post), what);
    }
    DNNL_TRY(matrix_describe(&a, s.m, s.k, type, s.transpose_a, s.lda), what);
    DNNL_TRY(matrix_describe(&b, s.k, s.n, type, s.transpose_b, s.ldb), what);
    DNNL_TRY(matrix_describe(&dst, s.m, s.n, BW_F32, false, s.ldc), what);
    DNNL_TRY(bw__pd_matmul(&mm->primitive.desc, x->kernels->engine, &a, &b, &dst, attr), what);
    BW_TRY(bw__primitive_finish(&mm->primitive, x, what, 3, query, arg));
    *out = mm;
    mm = NULL;
out:
    (void)bw__exec_swap_threads(before);
    if (post) dnnl_post_ops_destroy(post);
    if (attr) dnnl_primitive_attr_destroy(attr);
    bw__md_clear(&a);
    bw__md_clear(&b);
    bw__md_clear(&dst);
    bw__matmul_free(mm);
    return st;
}

void bw__matmul_free(bw_matmul *mm)
{
    if (!mm) return;
    bw__primitive_clear(&mm->primitive);
    bw__free(mm);
}

int64_t bw__matmul_flops(const bw_matmul *mm)
{
    return 2 * mm->shape.m * mm->shape.n * mm->shape.k;
}

/* Elements from the first to the last of a matrix stored in rows of `columns`, `ld` apart. */
static int64_t extent(int64_t rows, int64_t columns, int64_t ld)
{
    return (rows - 1) * (ld ? ld : columns) + columns;
}

bw_status bw__matmul_run(bw_matmul *mm, bw_exec *x, float *dst, const void *a, const void *b)
{
    const bw_matmul_shape *s = &mm->shape;
    size_t mark = bw__exec_mark(x);
    if (mm->in_f32) {
        a = bw__f32_copy(x, s->type, a,
                         s->transpose_a ? extent(s->k, s->m, s->lda) : extent(s->m, s->k, s->lda));
        b = bw__f32_copy(x, s->type, b,
                         s->transpose_b ? extent(s->n, s->k, s->ldb) : extent(s->k, s->n, s->ldb));
    }
    void *data[] = { bw__onednn_readable(a), bw__onednn_readable(b), dst };
    double begin = bw__profile_begin(x);
    bw_status st = bw__primitive_run(&mm->primitive, x, data, false);
    bw__profile_end(x, begin, "matrix product", "", bw__matmul_flops(mm));
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb, bool accumulate, float *c, int64_t ldc)
{
    dnnl_status_t ds = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b,
                                  ldb, accumulate ? 1.0f : 0.0f, c, ldc);
    return ds == dnnl_success ? BW_OK : bw__onednn_fail(ds, "a matrix product");
}
