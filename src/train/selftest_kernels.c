/* Convolutions and matrix products against plain loops in double. */
#include "base/memory.h"
#include "base/rng.h"
#include "nn/conv.h"
#include "nn/elementwise.h"
#include "nn/matmul.h"
#include "train/selftest.h"
#include <math.h>
#include <stdio.h>

/* Sums of a few thousand products of numbers around 1, relative to the largest of them: f32 has 24 bits; of
 * bf16 the operands are rounded before, and the result to 8 bits. */
static const double LIMIT = 1e-5, LIMIT_BF16 = 8e-3;
static const size_t ARENA_BYTES = (size_t)64 << 20;

/* A tensor as the kernel has it, in f32, and in double as rounded to the kernel's type. */
typedef struct tensor {
    int64_t n;
    bw_type type;
    void *own; /* [n] of `type` */
    float *f32;
    double *f64;
} tensor;

typedef struct checker {
    bw_exec x;
    bool *passed;
    bw_machine_check_fn on_check;
    void *user;
    uint32_t drawn;
} checker;

static void drop(tensor *t)
{
    bw__free(t->own);
    bw__free(t->f32);
    bw__free(t->f64);
}

static bw_status make(tensor *t, checker *c, bw_type type, int64_t n)
{
    bw_status st = BW_OK;
    *t = (tensor){ .n = n, .type = type };
    BW_TRY(bw__alloc(&t->own, (size_t)n * bw__type_size(type)));
    BW_TRY(BW_ALLOC(&t->f32, n));
    BW_TRY(BW_ALLOC(&t->f64, n));
    bw_rng r = bw__rng(0, BW_RNG_SYNTHETIC, 0, 0, c->drawn++);
    bw__rng_normal_f32(&r, t->f32, n);
    bw__from_f32(&c->x, type, t->own, t->f32, n);
    bw__to_f32(&c->x, type, t->f32, t->own, n);
    for (int64_t i = 0; i < n; i++)
        t->f64[i] = (double)t->f32[i];
out:
    return st;
}

static void tell(checker *c, tensor *got, const char *what, double limit)
{
    bw_machine_check check = { .limit = limit };
    double largest = 0.0;
    bw__to_f32(&c->x, got->type, got->f32, got->own, got->n);
    for (int64_t i = 0; i < got->n; i++) {
        double d = fabs((double)got->f32[i] - got->f64[i]);
        if (isnan(d) || d > check.difference) check.difference = d;
        largest = fmax(largest, fabs(got->f64[i]));
    }
    check.difference /= largest;
    check.passed = check.difference <= limit;
    (void)snprintf(check.what, sizeof check.what, "%s", what);
    *c->passed = *c->passed && check.passed;
    if (c->on_check) c->on_check(c->user, &check);
}

/* --- convolutions --- */

/* dst += src * weights over all index pairs, or the sum that gives another of the three. */
static void plain_conv(const bw_conv_shape *s, bw_passes pass, double *src, double *weights, double *dst)
{
    const int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad),
                  ow = bw__conv_out(s->w, s->kernel, s->stride, s->pad), taps = s->kernel * s->kernel;
    for (int64_t at = 0; at < s->n * oh * ow * taps; at++) {
        int64_t position = at / taps, ky = at % taps / s->kernel, kx = at % s->kernel;
        int64_t iy = position / ow % oh * s->stride - s->pad + ky,
                ix = position % ow * s->stride - s->pad + kx;
        if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w) continue;
        double *a = src + ((position / (oh * ow) * s->h + iy) * s->w + ix) * s->ic,
               *d = dst + position * s->oc;
        for (int64_t o = 0; o < s->oc; o++)
            for (int64_t i = 0; i < s->ic; i++) {
                double *w = &weights[((o * s->ic + i) * s->kernel + ky) * s->kernel + kx];
                if (pass == BW_PASS_FORWARD) d[o] += a[i] * *w;
                if (pass == BW_PASS_BACKWARD_DATA) a[i] += d[o] * *w;
                if (pass == BW_PASS_BACKWARD_WEIGHTS) *w += a[i] * d[o];
            }
    }
}

static void clear(tensor *t)
{
    for (int64_t i = 0; i < t->n; i++)
        t->f64[i] = 0.0;
}

static bw_status run_pass(bw_conv *conv, checker *c, bw_passes pass, tensor *src, tensor *weights,
                          tensor *dst)
{
    if (pass == BW_PASS_FORWARD) return bw__conv_forward(conv, &c->x, dst->own, src->own, weights->own);
    if (pass == BW_PASS_BACKWARD_DATA)
        return bw__conv_backward_data(conv, &c->x, src->own, dst->own, weights->own);
    return bw__conv_backward_weights(conv, &c->x, weights->own, src->own, dst->own);
}

static bw_status check_pass(checker *c, const bw_conv_shape *s, bw_passes pass, const char *pass_name)
{
    bw_status st = BW_OK;
    tensor src = { 0 }, weights = { 0 }, dst = { 0 };
    bw_conv *conv = NULL;
    char what[64];
    const int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad),
                  ow = bw__conv_out(s->w, s->kernel, s->stride, s->pad);
    BW_TRY(make(&src, c, s->type, s->n * s->h * s->w * s->ic));
    BW_TRY(make(&weights, c, BW_F32, s->oc * s->ic * s->kernel * s->kernel));
    BW_TRY(make(&dst, c, s->type, s->n * oh * ow * s->oc));
    tensor *out = pass == BW_PASS_FORWARD ? &dst : pass == BW_PASS_BACKWARD_DATA ? &src : &weights;
    clear(out);
    plain_conv(s, pass, src.f64, weights.f64, dst.f64);
    BW_TRY(bw__conv_create(&conv, &c->x, s, pass));
    BW_TRY(run_pass(conv, c, pass, &src, &weights, &dst));
    (void)snprintf(what, sizeof what, "convolution %dx%d%s %s, %s", s->kernel, s->kernel,
                   s->stride > 1 ? " stride 2" : "", pass_name, s->type == BW_F32 ? "f32" : "bf16");
    tell(c, out, what, s->type == BW_F32 ? LIMIT : LIMIT_BF16);
out:
    bw__conv_free(conv);
    drop(&src);
    drop(&weights);
    drop(&dst);
    return st;
}

static bw_status check_convolutions(checker *c, bw_type type)
{
    static const bw_conv_shape SHAPES[] = {
        { .n = 3, .h = 9, .w = 11, .ic = 16, .oc = 24, .kernel = 1, .stride = 1, .pad = 0 },
        { .n = 3, .h = 9, .w = 11, .ic = 16, .oc = 24, .kernel = 3, .stride = 1, .pad = 1 },
        { .n = 3, .h = 9, .w = 11, .ic = 16, .oc = 24, .kernel = 3, .stride = 2, .pad = 1 },
        { .n = 2, .h = 21, .w = 18, .ic = 3, .oc = 16, .kernel = 7, .stride = 2, .pad = 3 }
    };
    static const struct {
        bw_passes pass;
        const char *name;
    } PASSES[] = { { BW_PASS_FORWARD, "forward" },
                   { BW_PASS_BACKWARD_DATA, "backward data" },
                   { BW_PASS_BACKWARD_WEIGHTS, "backward weights" } };
    bw_status st = BW_OK;
    for (size_t i = 0; st == BW_OK && i < 3 * sizeof SHAPES / sizeof *SHAPES; i++) {
        bw_conv_shape s = SHAPES[i / 3];
        s.type = type;
        if (s.ic == 3 && PASSES[i % 3].pass == BW_PASS_BACKWARD_DATA) continue; /* no step needs it */
        st = check_pass(c, &s, PASSES[i % 3].pass, PASSES[i % 3].name);
    }
    return st;
}

/* --- products --- */

static bw_status check_product(checker *c, bw_type type)
{
    enum { M = 67, N = 43, K = 129 };
    bw_status st = BW_OK;
    tensor a = { 0 }, b = { 0 }, product = { 0 };
    bw_matmul *matmul = NULL;
    const bw_matmul_shape shape = { .m = M, .n = N, .k = K, .transpose_b = true, .type = type };
    BW_TRY(make(&a, c, type, M * K));
    BW_TRY(make(&b, c, type, N * K));
    BW_TRY(make(&product, c, BW_F32, M * N));
    clear(&product);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < K; k++)
                product.f64[i * N + j] += a.f64[i * K + k] * b.f64[j * K + k];
    BW_TRY(bw__matmul_create(&matmul, &c->x, &shape));
    BW_TRY(bw__matmul_run(matmul, &c->x, product.own, a.own, b.own));
    tell(c, &product, type == BW_F32 ? "matrix product, f32" : "matrix product, bf16", LIMIT);
out:
    bw__matmul_free(matmul);
    drop(&a);
    drop(&b);
    drop(&product);
    return st;
}

bw_status bw__selftest_kernels(bool *passed, int threads, bw_machine_check_fn on_check, void *user)
{
    bw_status st = BW_OK;
    checker c = { .passed = passed, .on_check = on_check, .user = user };
    BW_TRY(bw__exec_create(&c.x, threads));
    BW_TRY(bw__arena_create(&c.x.arena, ARENA_BYTES));
    const int types = bw__exec_bf16() == BW_BF16_NONE ? 1 : 2;
    for (int i = 0; i < types; i++) {
        BW_TRY(check_convolutions(&c, i == 0 ? BW_F32 : BW_BF16));
        BW_TRY(check_product(&c, i == 0 ? BW_F32 : BW_BF16));
    }
out:
    bw__exec_destroy(&c.x);
    return st;
}
