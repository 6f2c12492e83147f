/* The code of the inner loops, included once for each processor with its own name in KERNELS. Vectors are
 * those of the compiler (GNU C), so that only widening and narrowing need instructions by name. */
#ifndef BW_DATA_PIXEL_KERNELS_BODY_H
#define BW_DATA_PIXEL_KERNELS_BODY_H
#include "data/pixel_kernels.h"

#ifdef __AVX2__
#include <immintrin.h>
#define V 8 /* lanes of one vector */
#else
#define V 4
#endif
#define PARTS (BW_LANES / V)
#ifndef KERNELS
#define KERNELS bw__kernels_unnamed
#endif

typedef int32_t vi __attribute__((vector_size(V * 4)));
typedef uint32_t vu __attribute__((vector_size(V * 4)));
typedef float vf __attribute__((vector_size(V * 4)));

/* V bytes as integers, and back; values outside 0..255 become 0 and 255. */
#ifdef __AVX2__
static inline vi widen(const uint8_t *p)
{
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

static inline void narrow(uint8_t *p, vi v)
{
    const __m256i all = (__m256i)v;
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}
#else
static inline vi widen(const uint8_t *p)
{
    return (vi){ p[0], p[1], p[2], p[3] };
}

static inline void narrow(uint8_t *p, vi v)
{
    v &= ~(v >> 31);
    v |= v > 255;
    for (int l = 0; l < V; l++)
        p[l] = (uint8_t)v[l];
}
#endif

static inline vi splat(int32_t x)
{
    return (vi){ 0 } + x;
}

static inline vf splat_f(float x)
{
    return (vf){ 0 } + x;
}

static inline vi pick(vi mask, vi yes, vi no)
{
    return (yes & mask) | (no & ~mask);
}

static inline vf pick_f(vi mask, vf yes, vf no)
{
    return (vf)pick(mask, (vi)yes, (vi)no);
}

static inline vf to_float(vi v)
{
    return __builtin_convertvector(v, vf);
}

/* Cut off towards zero. */
static inline vi to_int(vf v)
{
    return __builtin_convertvector(v, vi);
}

static void resample_rows(uint8_t *restrict dst, int64_t plane, const uint8_t *restrict src,
                          const bw_taps *restrict taps)
{
    for (int64_t x = 0; x < taps->n; x++) {
        const int32_t *k = taps->k + x * taps->width;
        const uint8_t *p = src + taps->first[x] * 3 * BW_LANES;
        vi sum[3 * PARTS];
        for (int i = 0; i < 3 * PARTS; i++)
            sum[i] = splat(1 << (BW_TAP_BITS - 1));
        for (int64_t j = 0; j < taps->count[x]; j++, p += 3 * BW_LANES)
            for (int i = 0; i < 3 * PARTS; i++)
                sum[i] += widen(p + i * V) * k[j];
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < PARTS; i++)
                narrow(dst + c * plane + x * BW_LANES + i * V, sum[c * PARTS + i] >> BW_TAP_BITS);
    }
}

static void resample_column(uint8_t *restrict dst, const uint8_t *restrict src, int64_t stride,
                            const int32_t *restrict k, int64_t count)
{
    for (int64_t x = 0; x < stride; x += BW_LANES) {
        const uint8_t *p = src + x;
        vi sum[PARTS];
        for (int i = 0; i < PARTS; i++)
            sum[i] = splat(1 << (BW_TAP_BITS - 1));
        for (int64_t j = 0; j < count; j++, p += stride)
            for (int i = 0; i < PARTS; i++)
                sum[i] += widen(p + i * V) * k[j];
        for (int i = 0; i < PARTS; i++)
            narrow(dst + x + i * V, sum[i] >> BW_TAP_BITS);
    }
}

static inline int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* One value of a box blur: one leaves the sum, one enters it, one lies just beyond. The weighted sum stays
 * below 2^24 * 255.5: it needs all 32 bits. */
static inline void box_step(uint8_t *dst, vi *sum, const uint8_t *leaves, const uint8_t *enters,
                            const uint8_t *beyond, uint32_t weight, uint32_t edge)
{
    for (int i = 0; i < PARTS; i++) {
        const vi out = widen(leaves + i * V);
        sum[i] += widen(enters + i * V) - out;
        const vu far = (vu)(out + widen(beyond + i * V));
        const vu v = (vu)sum[i] * weight + far * edge + (1u << (BW_BOX_BITS - 1));
        narrow(dst + i * V, (vi)(v >> BW_BOX_BITS));
    }
}

static void box_pass(uint8_t *restrict dst, int64_t dst_stride, const uint8_t *restrict src,
                     int64_t src_stride, int64_t n, const bw_box *restrict box)
{
    const int64_t r = box->radius, s = src_stride;
    const uint32_t weight = box->weight, edge = box->edge;
    vi sum[PARTS];
    for (int i = 0; i < PARTS; i++)
        sum[i] = splat(0);
    for (int64_t at = -r - 1; at < r; at++)
        for (int i = 0; i < PARTS; i++)
            sum[i] += widen(src + clamp(at, n) * s + i * V);
    for (int64_t at = 0; at < n; at++, dst += dst_stride) {
        for (; at > r && at + r + 1 < n; at++, dst += dst_stride) {
            const uint8_t *p = src + at * s;
            box_step(dst, sum, p - (r + 1) * s, p + r * s, p + (r + 1) * s, weight, edge);
        }
        box_step(dst, sum, src + clamp(at - r - 1, n) * s, src + clamp(at + r, n) * s,
                 src + clamp(at + r + 1, n) * s, weight, edge);
    }
}

/* May leave 0..255; narrow() brings it back. */
static inline vi blend_from(vf base, vi value, float factor)
{
    return to_int(base + factor * (to_float(value) - base));
}

static void blend(uint8_t *p, int64_t n, float base, float factor)
{
    for (int64_t i = 0; i < n; i += V)
        narrow(p + i, blend_from(splat_f(base), widen(p + i), factor));
}

/* ITU-R 601 luma in PIL's fixed point. */
static inline vi luma(vi r, vi g, vi b)
{
    return (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
}

/* n is any number here: padding must not count. */
static uint32_t sum_grey(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n)
{
    vi sums = splat(0);
    int64_t i = 0;
    for (; i + V <= n; i += V)
        sums += luma(widen(r + i), widen(g + i), widen(b + i));
    uint32_t sum = 0;
    for (int l = 0; l < V; l++)
        sum += (uint32_t)sums[l];
    for (; i < n; i++)
        sum += (19595u * r[i] + 38470u * g[i] + 7471u * b[i] + 0x8000u) >> 16;
    return sum;
}

static void saturate(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i += V) {
        const vi red = widen(r + i), green = widen(g + i), blue = widen(b + i);
        const vf grey = to_float(luma(red, green, blue));
        narrow(r + i, blend_from(grey, red, factor));
        narrow(g + i, blend_from(grey, green, factor));
        narrow(b + i, blend_from(grey, blue, factor));
    }
}

/* One of the two smaller colours is the smallest, so that its distance from the largest, over the spread,
 * is 1, and the hue in sixths of a turn needs one rounding, as in PIL, where it is done in double. That float
 * is enough for the rest was tried for every colour: BW_TEST_ALL=1 test_pixel_kernels. */
static inline vi hue_of(vi r, vi g, vi b, vi most, vi spread)
{
    const vi is_red = r == most, is_green = g == most;
    const vi plus = most - pick(is_red, b, pick(is_green, r, g));
    const vi minus = most - pick(is_red, g, pick(is_green, b, r));
    const vi sector = pick(is_red, splat(0), pick(is_green, splat(2), splat(4)));
    const vf divisor = to_float(spread - (spread == 0));
    const vi down = plus == spread; /* sector + 1 - minus, else sector - 1 + plus */
    const vf part = to_float(pick(down, -minus, plus)) / divisor;
    const vf sixths = to_float(sector + pick(down, splat(1), splat(-1))) + part;
    vf turns = sixths / 6.0f;
    turns = pick_f(turns < 0.0f, turns + 1.0f, turns);
    return to_int(turns * 255.0f) & (spread != 0);
}

/* The nearest whole number to x / n, n odd and x so small that 2 x + n is exact in float: no tie, and no
 * value so near to one that the rounding of the division matters. */
static inline vi divide(vi x, int32_t n)
{
    return to_int(to_float(2 * x + n) / (float)(2 * n));
}

static void turn_hue(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n, uint8_t turn)
{
    for (int64_t i = 0; i < n; i += V) {
        const vi red = widen(r + i), green = widen(g + i), blue = widen(b + i);
        vi most = pick(red > green, red, green), least = pick(red < green, red, green);
        most = pick(most > blue, most, blue);
        least = pick(least < blue, least, blue);
        const vi spread = most - least;
        const vi hue = (hue_of(red, green, blue, most, spread) + turn) & 255;
        const vi strength = to_int(to_float(spread) / to_float(most - (most == 0)) * 255.0f);

        /* Back: 6 * hue / 255 is sector + part / 85. */
        const vi sector = hue * 2 * 772 >> 16; /* hue * 2 / 85 */
        const vi part = hue * 2 - sector * 85;
        const vi p = divide(most * (255 - strength), 255);
        const vi q = divide(most * (255 * 85 - strength * part), 255 * 85);
        const vi t = divide(most * (255 * 85 - strength * (85 - part)), 255 * 85);
        const vi s1 = sector == 1, s2 = sector == 2, s3 = sector == 3, s4 = sector == 4, s5 = sector == 5;
        const vi s0 = (sector == 0) | (sector == 6);
        narrow(r + i, (most & (s0 | s5)) | (q & s1) | (p & (s2 | s3)) | (t & s4));
        narrow(g + i, (most & (s1 | s2)) | (q & s3) | (p & (s4 | s5)) | (t & s0));
        narrow(b + i, (most & (s3 | s4)) | (q & s5) | (p & (s0 | s1)) | (t & s2));
    }
}

static void grey(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i += V) {
        const vi v = luma(widen(r + i), widen(g + i), widen(b + i));
        narrow(r + i, v);
        narrow(g + i, v);
        narrow(b + i, v);
    }
}

static void solarize(uint8_t *p, int64_t n, int threshold)
{
    for (int64_t i = 0; i < n; i += V) {
        const vi v = widen(p + i);
        narrow(p + i, pick(v >= threshold, 255 - v, v));
    }
}

static void interleave(uint8_t *restrict dst, const uint8_t *restrict r, const uint8_t *restrict g,
                       const uint8_t *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        dst[3 * i] = r[i];
        dst[3 * i + 1] = g[i];
        dst[3 * i + 2] = b[i];
    }
}

static void scale_and_shift(float *restrict dst, const uint8_t *restrict src, int64_t n,
                            const float *restrict scale, const float *restrict shift)
{
    enum { PERIOD = 48 };
    int64_t i = 0;
    for (; i + PERIOD <= n; i += PERIOD)
        for (int j = 0; j < PERIOD; j++)
            dst[i + j] = (float)src[i + j] * scale[j] + shift[j];
    for (int j = 0; i + j < n; j++)
        dst[i + j] = (float)src[i + j] * scale[j] + shift[j];
}

const bw_kernels KERNELS = {
    .resample_rows = resample_rows,
    .resample_column = resample_column,
    .box_pass = box_pass,
    .blend = blend,
    .sum_grey = sum_grey,
    .saturate = saturate,
    .turn_hue = turn_hue,
    .grey = grey,
    .solarize = solarize,
    .interleave = interleave,
    .scale_and_shift = scale_and_shift,
};
#endif
