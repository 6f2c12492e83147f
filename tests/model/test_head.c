/* Heads of every form: 1x1 fused and stored, 3x3, with and without a stride, and lsp, against a plain twin in
 * double whose gradient is taken by central differences. */
#include "check.h"
#include "base/rng.h"
#include "model/head.h"
#include "nn/plain.h"
#include <stdlib.h>
#include <string.h>

enum { VIEWS = 2 };

/* A head alone: its parameters are weight [d, c, k, k] and batch norm's four, one after another. */
typedef struct head_case {
    bw_block_spec spec;
    int64_t n, h, w; /* n: images of all views */
    bw_params params;
    bw_param item[5];
    float *in, *diff_h, *values;
} head_case;

static void draw(float *v, int64_t n, uint64_t seed, float centre, float scale)
{
    bw_rng rng = bw__rng(seed, BW_RNG_INIT, 1, 0, 0);
    for (int64_t i = 0; i < n; i++)
        v[i] = centre + scale * (2.0f * bw__rng_uniform(&rng) - 1.0f);
}

static float *floats(int64_t n)
{
    float *v = calloc((size_t)n, sizeof *v);
    assert_non_null(v);
    return v;
}
static double *doubles(int64_t n)
{
    double *v = calloc((size_t)n, sizeof *v);
    assert_non_null(v);
    return v;
}

static int64_t in_count(const head_case *t)
{
    return t->n * t->h * t->w * t->spec.out_c;
}

/* cbe: kernel 1 or 3; lsp: kernel 0 and `stride` the number of cells. */
static head_case make(int64_t c, int64_t d, int kernel, int stride, int64_t n, int64_t h, int64_t w)
{
    head_case t = { .n = n, .h = h, .w = w };
    const int64_t size[5] = { d * c * kernel * kernel, d, d, d, d };
    t.spec.out_c = c;
    t.spec.head_dim = d;
    t.spec.pool = kernel ? BW_POOL_CBE : BW_POOL_LSP;
    if (!kernel) assert_true(bw__lsp_grid(&t.spec.grid_rows, &t.spec.grid_columns, d, c));
    t.spec.expand = (bw_layer_spec){
        .ic = c, .oc = d, .kernel = kernel, .stride = stride, .pad = kernel / 2, .weight = 0, .bn = 1
    };
    for (int i = 0; i < 5; i++) {
        t.item[i].count = size[i];
        t.item[i].offset = t.params.total;
        t.params.total += size[i];
    }
    t.params.n = 5;
    t.values = floats(t.params.total);
    draw(t.values, t.params.total, 5, 0.0f, 0.5f);
    for (int64_t i = 0; i < d; i++)
        t.values[t.item[1].offset + i] += 1.0f; /* weight of the batch norm */
    t.params.values = t.values;
    t.in = floats(in_count(&t));
    draw(t.in, in_count(&t), 6, 0.7f, 1.0f);
    t.diff_h = floats(n * d);
    draw(t.diff_h, n * d, 7, 0.0f, 1.0f);
    return t;
}

static void destroy(head_case *t)
{
    free(t->values);
    free(t->in);
    free(t->diff_h);
}

/* h [n, d] of input and parameters, all in double: cell by cell of the convolution's output. */
static void twin_cbe(const head_case *t, double *h, double *in, double *p)
{
    const bw_layer_spec *s = &t->spec.expand;
    const bw_conv_shape shape = { .n = t->n,
                                  .h = t->h,
                                  .w = t->w,
                                  .ic = s->ic,
                                  .oc = s->oc,
                                  .kernel = s->kernel,
                                  .stride = s->stride,
                                  .pad = s->pad };
    int64_t positions =
        bw__conv_out(t->h, s->kernel, s->stride, s->pad) * bw__conv_out(t->w, s->kernel, s->stride, s->pad);
    double *y = doubles(t->n * positions * s->oc);
    plain_conv(&shape, PLAIN_FORWARD, in, p, y);
    int64_t rows = t->n / VIEWS * positions;
    for (int v = 0; v < VIEWS; v++)
        plain_bn_relu(y + v * rows * s->oc, y + v * rows * s->oc, p + t->item[1].offset,
                      p + t->item[2].offset, rows, s->oc, BW_BN_EPS, 1);
    memset(h, 0, (size_t)(t->n * s->oc) * sizeof *h);
    for (int64_t r = 0; r < t->n * positions; r++)
        for (int64_t i = 0; i < s->oc; i++)
            h[r / positions * s->oc + i] += y[r * s->oc + i] / (double)positions;
    free(y);
}

static void twin_lsp(const head_case *t, double *h, const double *in)
{
    const int64_t rows = t->spec.grid_rows, columns = t->spec.grid_columns, c = t->spec.out_c;
    for (int64_t n = 0; n < t->n; n++)
        for (int64_t k = 0; k < c * rows * columns; k++) {
            int64_t channel = k / (rows * columns), row = k / columns % rows, column = k % columns, count = 0;
            double sum = 0;
            for (int64_t y = row * t->h / rows; y * rows < (row + 1) * t->h; y++)
                for (int64_t x = column * t->w / columns; x * columns < (column + 1) * t->w; x++, count++)
                    sum += in[((n * t->h + y) * t->w + x) * c + channel];
            h[n * c * rows * columns + k] = sum / (double)count;
        }
}

static void twin(const head_case *t, double *h, double *in, double *p)
{
    if (t->spec.pool == BW_POOL_CBE)
        twin_cbe(t, h, in, p);
    else
        twin_lsp(t, h, in);
}

/* d(sum diff_h * h) / d v[i] */
static double slope(const head_case *t, double *in, double *p, double *v, int64_t i)
{
    const double step = 1e-6;
    const int64_t n = t->n * t->spec.head_dim;
    double *up = doubles(n), *down = doubles(n), was = v[i], sum = 0;
    v[i] = was + step;
    twin(t, up, in, p);
    v[i] = was - step;
    twin(t, down, in, p);
    v[i] = was;
    for (int64_t j = 0; j < n; j++)
        sum += (double)t->diff_h[j] * (up[j] - down[j]) / (2 * step);
    free(up);
    free(down);
    return sum;
}

static void compare_gradient(const head_case *t, const float *got, int64_t n, double *in, double *p,
                             double *v)
{
    enum { MOST = 60 };
    double want[MOST + 1], is[MOST + 1];
    size_t compared = 0;
    for (int64_t i = 0; i < n; i += n / MOST + 1, compared++) {
        want[compared] = slope(t, in, p, v, i);
        is[compared] = (double)got[i];
    }
    CHECK_CLOSE(is, want, compared, 1e-4, 2e-5);
}

/* Features and gradients; returns what the form is called. */
static const char *check_head(head_case *t)
{
    bw_exec x;
    bw_head head;
    const int64_t n = in_count(t), m = t->n * t->spec.head_dim;
    float *h = floats(m), *diff_in = floats(n), *grads = floats(t->params.total);
    double *in = doubles(n), *p = doubles(t->params.total), *want = doubles(m), *got = doubles(m);
    memset(diff_in, 0x55, (size_t)n * sizeof *diff_in); /* all of it is to be overwritten */
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)32 << 20));
    CHECK_OK(bw__head_create(&head, &x, &t->spec, VIEWS, t->n, t->h, t->w, true));
    for (int64_t i = 0; i < n; i++)
        in[i] = (double)t->in[i];
    for (int64_t i = 0; i < t->params.total; i++)
        p[i] = (double)t->values[i];
    t->params.items = t->item;
    bw_run run = { .x = &x, .params = &t->params, .grads = grads, .training = true };
    CHECK_OK(bw__head_forward(&head, &run, h, t->in));
    CHECK_OK(bw__head_backward(&head, &run, diff_in, t->diff_h, t->in));
    twin(t, want, in, p);
    for (int64_t i = 0; i < m; i++)
        got[i] = (double)h[i];
    CHECK_CLOSE(got, want, (size_t)m, 1e-4, 1e-5);
    compare_gradient(t, diff_in, n, in, p, in);
    for (int i = 0; i < 3 && t->spec.pool == BW_POOL_CBE; i++)
        compare_gradient(t, grads + t->item[i].offset, t->item[i].count, in, p, p + t->item[i].offset);
    const char *form = bw__head_form(&head);
    bw__head_destroy(&head);
    bw__exec_destroy(&x);
    free(h), free(diff_in), free(grads), free(in), free(p), free(want), free(got);
    return form;
}

static void strided_1x1_heads_have_the_gradient_of_the_plain_twin(void **state)
{
    (void)state;
    for (int stride = 1; stride <= 8; stride += stride < 3 ? 1 : 5) { /* 1, 2, 3, 8: 8 is beyond the map */
        int64_t n = stride > 2 ? 20 : 6; /* statistics of few positions amplify rounding */
        head_case t = make(8, 32, 1, stride, n, 5, 7);
        assert_string_equal(check_head(&t), stride > 1 ? "fused, strided" : "fused");
        destroy(&t);
        t = make(16, 24, 1, stride, n, 5, 7);
        assert_string_equal(check_head(&t),
                            stride > 1 ? "with a stored expansion, strided" : "with a stored expansion");
        destroy(&t);
    }
}

static void heads_of_3x3_have_the_gradient_of_the_plain_twin_for_every_stride(void **state)
{
    (void)state;
    for (int stride = 1; stride <= 8; stride++) {
        head_case t = make(16, 32, 3, stride, stride > 2 ? 10 : 4, 5, 7);
        assert_string_equal(check_head(&t),
                            stride > 1 ? "with a stored expansion, strided" : "with a stored expansion");
        destroy(&t);
    }
    head_case t = make(8, 64, 3, 4, 6, 1, 1); /* one pixel: eight of nine taps read padding */
    (void)check_head(&t);
    destroy(&t);
}

static void lsp_head_has_the_gradient_of_the_plain_twin(void **state)
{
    (void)state;
    const int64_t dim[] = { 8, 16, 32, 64 };
    for (int i = 0; i < 4; i++) {
        head_case t = make(8, dim[i], 0, 1, 4, 5, 7);
        assert_string_equal(check_head(&t), "pooled in cells");
        destroy(&t);
    }
}

static void strided_head_counts_and_keeps_only_the_pixels_it_reads(void **state)
{
    (void)state;
    head_case t = make(8, 32, 1, 1, 6, 6, 8);
    bw_exec x;
    bw_head whole, strided;
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__head_create(&whole, &x, &t.spec, VIEWS, t.n, t.h, t.w, true));
    bw_block_spec spec = t.spec;
    spec.expand.stride = 2;
    CHECK_OK(bw__head_create(&strided, &x, &spec, VIEWS, t.n, t.h, t.w, true));
    assert_int_equal(whole.positions, 48);
    assert_int_equal(strided.positions, 12);
    assert_int_equal(bw__head_flops(&whole, true), 4 * bw__head_flops(&strided, true));
    bw__head_destroy(&whole);
    bw__head_destroy(&strided);
    bw__exec_destroy(&x);
    destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strided_1x1_heads_have_the_gradient_of_the_plain_twin),
        cmocka_unit_test(heads_of_3x3_have_the_gradient_of_the_plain_twin_for_every_stride),
        cmocka_unit_test(lsp_head_has_the_gradient_of_the_plain_twin),
        cmocka_unit_test(strided_head_counts_and_keeps_only_the_pixels_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
