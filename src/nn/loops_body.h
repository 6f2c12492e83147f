/* The code of the inner loops, included once for each instruction set with its own name in LOOPS. The type of
 * activations is a constant wherever a loop is compiled (AS_TYPE), so that load() and store() are one or
 * three instructions. `omp simd` says what holds for all these loops: elements with different indices do not
 * meet, although arrays may be the same. */
#ifndef BW_NN_LOOPS_BODY_H
#define BW_NN_LOOPS_BODY_H
#include "nn/loops.h"
#include <math.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#define V 8 /* lanes of the vectors where loops are written with them */
#else
#define V 4
#endif

#ifndef LOOPS
#define LOOPS bw__loops_unnamed
extern const bw_loops LOOPS;
#endif

#define INLINE static inline __attribute__((always_inline))
#ifdef _OPENMP
#define SIMD _Pragma("omp simd")
#else
#define SIMD
#endif

#define AS_TYPE(type, function, ...)                                                                         \
    ((type) == BW_BF16 ? function(BW_BF16, __VA_ARGS__) : function(BW_F32, __VA_ARGS__))

typedef union bits {
    float f;
    uint32_t u;
    int32_t i;
} bits;

INLINE float load(const bw_type type, const void *p, int64_t i)
{
    if (type == BW_F32) return ((const float *)p)[i];
    bits v = { .u = (uint32_t)((const uint16_t *)p)[i] << 16 };
    return v.f;
}

/* To nearest even; a NaN stays a NaN, as a quiet one. */
INLINE uint16_t round_to_bf16(float f)
{
    bits v = { .f = f };
    uint32_t rounded = v.u + 0x7fffu + ((v.u >> 16) & 1u);
    bool is_nan = (v.i & 0x7fffffff) > 0x7f800000;
    return (uint16_t)((is_nan ? v.u | 0x400000u : rounded) >> 16);
}

INLINE void store(const bw_type type, void *p, int64_t i, float f)
{
    if (type == BW_F32)
        ((float *)p)[i] = f;
    else
        ((uint16_t *)p)[i] = round_to_bf16(f);
}

/* Not v > 0 ? v : 0, which would turn a NaN into 0 and hide a diverged run. */
INLINE float relu(float v)
{
    return v < 0.0f ? 0.0f : v;
}

/* ---- sums over rows ---- */

/* Rows summed in f32 before they join the double. */
#define BLOCK 32

/* Loops over channels in tiles whose sums stay in registers: TILE(32), TILE(8), TILE(1) with W constant. */
#define FOR_TILES(c, TILE)                                                                                   \
    do {                                                                                                     \
        int64_t c0 = 0;                                                                                      \
        for (; c0 + 32 <= (c); c0 += 32)                                                                     \
            TILE(32);                                                                                        \
        for (; c0 + 8 <= (c); c0 += 8)                                                                       \
            TILE(8);                                                                                         \
        for (; c0 < (c); c0++)                                                                               \
            TILE(1);                                                                                         \
    } while (0)

INLINE void moments_tile(const bw_type type, double *s0, double *s1, const void *y, const float *shift,
                         int64_t rows, int64_t c, const int W)
{
    float a0[32] = { 0 }, a1[32] = { 0 };
    for (int64_t r = 0; r < rows; r++)
        for (int j = 0; j < W; j++) {
            float d = load(type, y, r * c + j) - shift[j];
            a0[j] += d;
            a1[j] += d * d;
        }
    for (int j = 0; j < W; j++) {
        s0[j] += (double)a0[j];
        s1[j] += (double)a1[j];
    }
}

INLINE void moments_as(const bw_type type, double *s0, double *s1, const void *y, const float *shift,
                       int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int64_t n = rows - r < BLOCK ? rows - r : BLOCK;
#define TILE(W) moments_tile(type, s0 + c0, s1 + c0, bw__const_at(type, y, r * c + c0), shift + c0, n, c, W)
        FOR_TILES(c, TILE);
#undef TILE
    }
}

static void moments(bw_type type, double *sum, double *squares, const void *y, const float *shift,
                    int64_t rows, int64_t c)
{
    AS_TYPE(type, moments_as, sum, squares, y, shift, rows, c);
}

INLINE void products_tile(const bw_type type, double *s0, double *s1, const void *diff, const void *y,
                          const bw_bn_slopes *k, int64_t rows, int64_t c, int64_t c0, const int W,
                          const bool with_relu)
{
    const float *mean = k->mean + c0, *a = k->a + c0, *b = k->b + c0;
    float a0[32] = { 0 }, a1[32] = { 0 };
    for (int64_t r = 0; r < rows; r++)
        for (int j = 0; j < W; j++) {
            float v = load(type, y, r * c + j), g = load(type, diff, r * c + j);
            if (with_relu) g = a[j] * v + b[j] > 0.0f ? g : 0.0f;
            a0[j] += g;
            a1[j] += g * (v - mean[j]);
        }
    for (int j = 0; j < W; j++) {
        s0[c0 + j] += (double)a0[j];
        s1[c0 + j] += (double)a1[j];
    }
}

INLINE void products_all(const bw_type type, double *s0, double *s1, const void *diff, const void *y,
                         const bw_bn_slopes *k, int64_t rows, int64_t c, const bool with_relu)
{
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int64_t n = rows - r < BLOCK ? rows - r : BLOCK;
#define TILE(W)                                                                                              \
    products_tile(type, s0, s1, bw__const_at(type, diff, r *c + c0), bw__const_at(type, y, r *c + c0), k, n, \
                  c, c0, W, with_relu)
        FOR_TILES(c, TILE);
#undef TILE
    }
}

static void products(bw_type type, double *sum, double *product, const void *diff, const void *y,
                     const bw_bn_slopes *k, int64_t rows, int64_t c, bool with_relu)
{
    if (with_relu)
        AS_TYPE(type, products_all, sum, product, diff, y, k, rows, c, true);
    else
        AS_TYPE(type, products_all, sum, product, diff, y, k, rows, c, false);
}

/* ---- rows of batch norm ---- */

INLINE void affine_as(const bw_type type, void *dst, const void *y, const float *a, const float *b,
                      int64_t rows, int64_t c, const bool with_relu)
{
    for (int64_t r = 0; r < rows; r++) {
        SIMD for (int64_t i = 0; i < c; i++)
        {
            float v = a[i] * load(type, y, r * c + i) + b[i];
            store(type, dst, r * c + i, with_relu ? relu(v) : v);
        }
    }
}

static void affine(bw_type type, void *dst, const void *y, const float *a, const float *b, int64_t rows,
                   int64_t c, bool with_relu)
{
    if (with_relu)
        AS_TYPE(type, affine_as, dst, y, a, b, rows, c, true);
    else
        AS_TYPE(type, affine_as, dst, y, a, b, rows, c, false);
}

INLINE void affine_add_relu_as(const bw_type type, void *dst, const void *y, const float *a, const float *b,
                               const void *s, const float *as, const float *bs, int64_t rows, int64_t c,
                               const bool two)
{
    for (int64_t r = 0; r < rows; r++) {
        SIMD for (int64_t i = 0; i < c; i++)
        {
            float other = load(type, s, r * c + i);
            if (two) other = as[i] * other + bs[i];
            store(type, dst, r * c + i, relu(a[i] * load(type, y, r * c + i) + b[i] + other));
        }
    }
}

static void affine_add_relu(bw_type type, void *dst, const void *y, const float *a, const float *b,
                            const void *s, const float *as, const float *bs, int64_t rows, int64_t c)
{
    if (as)
        AS_TYPE(type, affine_add_relu_as, dst, y, a, b, s, as, bs, rows, c, true);
    else
        AS_TYPE(type, affine_add_relu_as, dst, y, a, b, s, NULL, NULL, rows, c, false);
}

INLINE void bn_backward_as(const bw_type type, void *diff_y, const void *diff, const void *y,
                           const bw_bn_slopes *k, int64_t rows, int64_t c, const bool with_relu)
{
    const float *mean = k->mean, *a = k->a, *b = k->b, *by_diff = k->by_diff, *by_y = k->by_y,
                *offset = k->offset;
    for (int64_t r = 0; r < rows; r++) {
        SIMD for (int64_t i = 0; i < c; i++)
        {
            float v = load(type, y, r * c + i), g = load(type, diff, r * c + i);
            if (with_relu) g = a[i] * v + b[i] > 0.0f ? g : 0.0f;
            store(type, diff_y, r * c + i, by_diff[i] * g + by_y[i] * (v - mean[i]) + offset[i]);
        }
    }
}

static void bn_backward(bw_type type, void *diff_y, const void *diff, const void *y, const bw_bn_slopes *k,
                        int64_t rows, int64_t c, bool with_relu)
{
    if (with_relu)
        AS_TYPE(type, bn_backward_as, diff_y, diff, y, k, rows, c, true);
    else
        AS_TYPE(type, bn_backward_as, diff_y, diff, y, k, rows, c, false);
}

INLINE void relu_backward_as(const bw_type type, void *diff, const void *dst, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++)
        store(type, diff, i, load(type, dst, i) > 0.0f ? load(type, diff, i) : 0.0f);
}

static void relu_backward(bw_type type, void *diff, const void *dst, int64_t n)
{
    AS_TYPE(type, relu_backward_as, diff, dst, n);
}

INLINE void add_as(const bw_type type, void *dst, const void *p, const void *q, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) store(type, dst, i, load(type, p, i) + load(type, q, i));
}

static void add(bw_type type, void *dst, const void *p, const void *q, int64_t n)
{
    AS_TYPE(type, add_as, dst, p, q, n);
}

/* ---- global average pooling ---- */

INLINE void relu_pool_tile(const bw_type type, float *h, const void *y, const float *a, const float *b,
                           int64_t positions, int64_t c, const int W)
{
    float s[32] = { 0 }, scale = 1.0f / (float)positions;
    for (int64_t r = 0; r < positions; r++)
        for (int j = 0; j < W; j++)
            s[j] += relu(a[j] * load(type, y, r * c + j) + b[j]);
    for (int j = 0; j < W; j++)
        h[j] = s[j] * scale;
}

INLINE void relu_pool_as(const bw_type type, float *h, const void *y, const float *a, const float *b,
                         int64_t positions, int64_t c)
{
#define TILE(W) relu_pool_tile(type, h + c0, bw__const_at(type, y, c0), a + c0, b + c0, positions, c, W)
    FOR_TILES(c, TILE);
#undef TILE
}

static void relu_pool(bw_type type, float *h, const void *y, const float *a, const float *b,
                      int64_t positions, int64_t c)
{
    AS_TYPE(type, relu_pool_as, h, y, a, b, positions, c);
}

INLINE void relu_pool_sums_tile(const bw_type type, float *count, float *sum, const void *y,
                                const float *mean, const float *a, const float *b, int64_t positions,
                                int64_t c, const int W)
{
    float n[32] = { 0 }, s[32] = { 0 };
    for (int64_t r = 0; r < positions; r++)
        for (int j = 0; j < W; j++) {
            float v = load(type, y, r * c + j), on = a[j] * v + b[j] > 0.0f ? 1.0f : 0.0f;
            n[j] += on;
            s[j] += on * (v - mean[j]);
        }
    for (int j = 0; j < W; j++) {
        count[j] = n[j];
        sum[j] = s[j];
    }
}

INLINE void relu_pool_sums_as(const bw_type type, float *count, float *sum, const void *y,
                              const bw_bn_slopes *k, int64_t positions, int64_t c)
{
#define TILE(W)                                                                                              \
    relu_pool_sums_tile(type, count + c0, sum + c0, bw__const_at(type, y, c0), k->mean + c0, k->a + c0,      \
                        k->b + c0, positions, c, W)
    FOR_TILES(c, TILE);
#undef TILE
}

static void relu_pool_sums(bw_type type, float *count, float *sum, const void *y, const bw_bn_slopes *k,
                           int64_t positions, int64_t c)
{
    AS_TYPE(type, relu_pool_sums_as, count, sum, y, k, positions, c);
}

INLINE void relu_pool_backward_as(const bw_type type, void *diff_y, const float *g, const void *y,
                                  const bw_bn_slopes *k, int64_t positions, int64_t c)
{
    const float *mean = k->mean, *a = k->a, *b = k->b, *by_diff = k->by_diff, *by_y = k->by_y,
                *offset = k->offset;
    for (int64_t r = 0; r < positions; r++) {
        SIMD for (int64_t i = 0; i < c; i++)
        {
            float v = load(type, y, r * c + i), d = a[i] * v + b[i] > 0.0f ? g[i] : 0.0f;
            store(type, diff_y, r * c + i, by_diff[i] * d + by_y[i] * (v - mean[i]) + offset[i]);
        }
    }
}

static void relu_pool_backward(bw_type type, void *diff_y, const float *g, const void *y,
                               const bw_bn_slopes *k, int64_t positions, int64_t c)
{
    AS_TYPE(type, relu_pool_backward_as, diff_y, g, y, k, positions, c);
}

INLINE void mean_rows_as(const bw_type type, float *h, const void *src, int64_t positions, int64_t c)
{
    float scale = 1.0f / (float)positions;
    memset(h, 0, (size_t)c * sizeof *h);
    for (int64_t r = 0; r < positions; r++) {
        SIMD for (int64_t i = 0; i < c; i++) h[i] += load(type, src, r * c + i);
    }
    SIMD for (int64_t i = 0; i < c; i++) h[i] *= scale;
}

static void mean_rows(bw_type type, float *h, const void *src, int64_t positions, int64_t c)
{
    AS_TYPE(type, mean_rows_as, h, src, positions, c);
}

INLINE void spread_rows_as(const bw_type type, void *diff_src, const float *g, int64_t positions, int64_t c)
{
    float scale = 1.0f / (float)positions;
    for (int64_t r = 0; r < positions; r++) {
        SIMD for (int64_t i = 0; i < c; i++) store(type, diff_src, r * c + i, g[i] * scale);
    }
}

static void spread_rows(bw_type type, void *diff_src, const float *g, int64_t positions, int64_t c)
{
    AS_TYPE(type, spread_rows_as, diff_src, g, positions, c);
}

/* ---- max pooling ---- */

/* With the compiler's vectors (GNU C): choices among several arrays of 8, 16 and 32 bits were left scalar by
 * gcc 12, and so is widening without an instruction by name. */
typedef float vf __attribute__((vector_size(V * 4)));
typedef int32_t vi __attribute__((vector_size(V * 4)));
typedef uint32_t vu __attribute__((vector_size(V * 4)));
typedef uint16_t vh __attribute__((vector_size(V * 2)));
typedef uint8_t vb __attribute__((vector_size(V)));

INLINE vi pick(vi mask, vi yes, vi no)
{
    return (yes & mask) | (no & ~mask);
}

#ifdef __AVX2__
INLINE vi widen(vb v)
{
    return (vi)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)v));
}

INLINE vu widen_half(vh v)
{
    return (vu)_mm256_cvtepu16_epi32((__m128i)v);
}
#else
INLINE vi widen(vb v)
{
    return __builtin_convertvector(v, vi);
}

INLINE vu widen_half(vh v)
{
    return __builtin_convertvector(v, vu);
}
#endif

/* n <= V values; those behind are 0. */
INLINE vf load_vector(const bw_type type, const void *p, int64_t i, const int64_t n)
{
    vf f = { 0 };
    vh h = { 0 };
    if (type == BW_F32) {
        memcpy(&f, (const float *)p + i, (size_t)n * sizeof(float));
        return f;
    }
    memcpy(&h, (const uint16_t *)p + i, (size_t)n * sizeof(uint16_t));
    return (vf)(widen_half(h) << 16);
}

INLINE void max_window_vector(const bw_type type, void *dst, uint8_t *where, const void *const *src,
                              const uint8_t *tap, int n, int64_t i, const int64_t count)
{
    vf best = load_vector(type, src[0], i, count);
    vi won = (vi){ 0 } + tap[0];
    for (int k = 1; k < n; k++) {
        vf s = load_vector(type, src[k], i, count);
        vi wins = (s > best) | (s != s);
        won = pick(wins, (vi){ 0 } + tap[k], won);
        best = (vf)pick(wins, (vi)s, (vi)best);
    }
    vb small = __builtin_convertvector(won, vb);
    memcpy(where + i, &small, (size_t)count);
    for (int64_t j = 0; j < count; j++)
        store(type, dst, i + j, best[j]);
}

INLINE void max_window_as(const bw_type type, void *dst, uint8_t *where, const void *const *src,
                          const uint8_t *tap, int n, int64_t c)
{
    int64_t i = 0;
    for (; i + V <= c; i += V)
        max_window_vector(type, dst, where, src, tap, n, i, V);
    if (i < c) max_window_vector(type, dst, where, src, tap, n, i, c - i);
}

static void max_window(bw_type type, void *dst, uint8_t *where, const void *const *src, const uint8_t *tap,
                       int n, int64_t c)
{
    AS_TYPE(type, max_window_as, dst, where, src, tap, n, c);
}

INLINE void max_gather_vector(const bw_type type, void *diff, const void *const *from,
                              const uint8_t *const *won, const uint8_t *tap, int n, int64_t i,
                              const int64_t count)
{
    vf sum = { 0 };
    for (int k = 0; k < n; k++) {
        vb small = { 0 };
        memcpy(&small, won[k] + i, (size_t)count);
        vi mine = widen(small) == tap[k];
        sum += (vf)((vi)load_vector(type, from[k], i, count) & mine);
    }
    for (int64_t j = 0; j < count; j++)
        store(type, diff, i + j, sum[j]);
}

INLINE void max_gather_as(const bw_type type, void *diff, const void *const *from, const uint8_t *const *won,
                          const uint8_t *tap, int n, int64_t c)
{
    int64_t i = 0;
    for (; i + V <= c; i += V)
        max_gather_vector(type, diff, from, won, tap, n, i, V);
    if (i < c) max_gather_vector(type, diff, from, won, tap, n, i, c - i);
}

static void max_gather(bw_type type, void *diff, const void *const *from, const uint8_t *const *won,
                       const uint8_t *tap, int n, int64_t c)
{
    AS_TYPE(type, max_gather_as, diff, from, won, tap, n, c);
}

/* ---- conversion ---- */

INLINE void to_f32_as(const bw_type type, float *dst, const void *src, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) dst[i] = load(type, src, i);
}

static void to_f32(bw_type type, float *dst, const void *src, int64_t n)
{
    AS_TYPE(type, to_f32_as, dst, src, n);
}

INLINE void from_f32_as(const bw_type type, void *dst, const float *src, int64_t n)
{
    SIMD for (int64_t i = 0; i < n; i++) store(type, dst, i, src[i]);
}

static void from_f32(bw_type type, void *dst, const float *src, int64_t n)
{
    AS_TYPE(type, from_f32_as, dst, src, n);
}

/* ---- the optimiser ---- */

/* ---- tiles of an expansion ---- */

INLINE vf load_f32(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* 2 V channels, whose sums stay in registers. */
INLINE void relu_sums_tile(float *h, float *count, float *sum, uint32_t *signs, const float *y, int64_t ld,
                           const float *a, const float *b, int64_t rows)
{
    vf as[2] = { load_f32(a), load_f32(a + V) }, bs[2] = { load_f32(b), load_f32(b + V) };
    vf hs[2] = { { 0 }, { 0 } }, ss[2] = { { 0 }, { 0 } };
    vi ns[2] = { { 0 }, { 0 } }, words[2] = { { 0 }, { 0 } };
    for (int64_t r = 0; r < rows; r++) {
        const vi bit = (vi){ 0 } + (int32_t)(1u << r);
        for (int k = 0; k < 2; k++) {
            vf v = load_f32(y + r * ld + k * V), z = as[k] * v + bs[k];
            vi on = z > 0.0f;
            hs[k] += (vf)((vi)z & ~(vi)(z < 0.0f)); /* as relu(): a NaN stays */
            ss[k] += (vf)((vi)v & on);
            ns[k] -= on;
            words[k] |= on & bit;
        }
    }
    for (int k = 0; k < 2; k++) {
        vf n = load_f32(count + k * V) + __builtin_convertvector(ns[k], vf);
        vf s = load_f32(sum + k * V) + ss[k], t = load_f32(h + k * V) + hs[k];
        memcpy(h + k * V, &t, sizeof t);
        memcpy(count + k * V, &n, sizeof n);
        memcpy(sum + k * V, &s, sizeof s);
        memcpy(signs + k * V, &words[k], sizeof words[k]);
    }
}

static void relu_sums(float *h, float *count, float *sum, uint32_t *signs, const float *y, int64_t ld,
                      const float *a, const float *b, int64_t rows, int64_t c)
{
    int64_t i = 0;
    if (!count) {
        for (int64_t r = 0; r < rows; r++)
            SIMD for (int64_t j = 0; j < c; j++) h[j] += relu(a[j] * y[r * ld + j] + b[j]);
        return;
    }
    for (; i + 2 * V <= c; i += 2 * V)
        relu_sums_tile(h + i, count + i, sum + i, signs + i, y + i, ld, a + i, b + i, rows);
    for (; i < c; i++) {
        float hs = 0.0f, n = 0.0f, s = 0.0f;
        uint32_t word = 0;
        for (int64_t r = 0; r < rows; r++) {
            float v = y[r * ld + i], z = a[i] * v + b[i];
            hs += relu(z);
            if (z > 0.0f) {
                n += 1.0f;
                s += v;
                word |= 1u << r;
            }
        }
        h[i] += hs;
        count[i] += n;
        sum[i] += s;
        signs[i] = word;
    }
}

INLINE void expand_signs_as(const bw_type type, void *dst, int64_t ld, const uint32_t *signs,
                            const float *slope, int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        SIMD for (int64_t j = 0; j < c; j++)
        {
            bits v = { .f = slope[j] };
            v.u &= 0u - ((signs[j] >> r) & 1u);
            store(type, dst, r * ld + j, v.f);
        }
}

static void expand_signs(bw_type type, void *dst, int64_t ld, const uint32_t *signs, const float *slope,
                         int64_t rows, int64_t c)
{
    AS_TYPE(type, expand_signs_as, dst, ld, signs, slope, rows, c);
}

INLINE void subtract_row_as(const bw_type type, void *dst, int64_t ld, const void *src, const float *row,
                            int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        SIMD for (int64_t j = 0; j < c; j++)
            store(type, dst, r * ld + j, load(type, src, r * c + j) - row[j]);
}

static void subtract_row(bw_type type, void *dst, int64_t ld, const void *src, const float *row, int64_t rows,
                         int64_t c)
{
    AS_TYPE(type, subtract_row_as, dst, ld, src, row, rows, c);
}

INLINE void add_row_as(const bw_type type, void *dst, const float *src, int64_t ld, const float *row,
                       int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        SIMD for (int64_t j = 0; j < c; j++) store(type, dst, r * c + j, src[r * ld + j] + row[j]);
}

static void add_row(bw_type type, void *dst, const float *src, int64_t ld, const float *row, int64_t rows,
                    int64_t c)
{
    AS_TYPE(type, add_row_as, dst, src, ld, row, rows, c);
}

INLINE double square_sum_of(const float *a, const float *b, float factor, int64_t n, const bool two)
{
    /* Eight partial sums, so that the additions can run side by side. */
    double s[8] = { 0 };
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) {
            double v = (double)(two ? a[i + j] + factor * b[i + j] : a[i + j]);
            s[j] += v * v;
        }
    for (; i < n; i++) {
        double v = (double)(two ? a[i] + factor * b[i] : a[i]);
        s[0] += v * v;
    }
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static double square_sum(const float *a, const float *b, float factor, int64_t n)
{
    return b ? square_sum_of(a, b, factor, n, true) : square_sum_of(a, NULL, 0.0f, n, false);
}

static void sgd(float *w, float *m, const float *g, const bw_sgd_rule *rule, int64_t n)
{
    const bw_sgd_rule r = *rule;
    SIMD for (int64_t i = 0; i < n; i++)
    {
        m[i] = r.momentum * m[i] + r.trust * (g[i] + r.decay * w[i]);
        w[i] -= r.lr * m[i];
    }
}

static void adamw(float *w, float *m, float *v, const float *g, const bw_adamw_rule *rule, int64_t n)
{
    const bw_adamw_rule r = *rule;
    SIMD for (int64_t i = 0; i < n; i++)
    {
        m[i] = r.beta1 * m[i] + r.rest1 * g[i];
        v[i] = r.beta2 * v[i] + r.rest2 * (g[i] * g[i]);
        w[i] = r.keep * w[i] - r.step * (m[i] / (sqrtf(v[i]) * r.root + r.eps));
    }
}

const bw_loops LOOPS = {
    .moments = moments,
    .products = products,
    .affine = affine,
    .affine_add_relu = affine_add_relu,
    .bn_backward = bn_backward,
    .relu_backward = relu_backward,
    .add = add,
    .relu_pool = relu_pool,
    .relu_pool_sums = relu_pool_sums,
    .relu_pool_backward = relu_pool_backward,
    .mean_rows = mean_rows,
    .spread_rows = spread_rows,
    .max_window = max_window,
    .max_gather = max_gather,
    .relu_sums = relu_sums,
    .expand_signs = expand_signs,
    .subtract_row = subtract_row,
    .add_row = add_row,
    .to_f32 = to_f32,
    .from_f32 = from_f32,
    .square_sum = square_sum,
    .sgd = sgd,
    .adamw = adamw,
};
#endif
