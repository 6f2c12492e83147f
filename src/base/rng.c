#include "base/rng.h"
#include <Random123/philox.h>
#include <math.h>

static void block(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
    philox4x32_ctr_t c = { { ctr[0], ctr[1], ctr[2], ctr[3] } };
    philox4x32_key_t k = { { key[0], key[1] } };
    philox4x32_ctr_t r = philox4x32(c, k);
    for (int i = 0; i < 4; i++)
        out[i] = r.v[i];
}

/* The five words of a stream's name do not fit a key and a counter together, so the name is first
 * mixed by Philox itself into key and upper counter words. */
bw_rng bw__rng(uint64_t seed, bw_rng_purpose purpose, uint64_t a, uint64_t b, uint32_t c)
{
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    uint32_t first[4] = { (uint32_t)purpose, c, (uint32_t)a, (uint32_t)(a >> 32) }, m[4];
    block(key, first, m);
    uint32_t second[4] = { m[0] ^ (uint32_t)b, m[1] ^ (uint32_t)(b >> 32), m[2], m[3] };
    block(key, second, m);
    return (bw_rng){ .key = { m[0], m[1] }, .ctr = { 0, 0, m[2], m[3] }, .left = 0 };
}

uint32_t bw__rng_u32(bw_rng *r)
{
    if (r->left == 0) {
        block(r->key, r->ctr, r->buf);
        if (++r->ctr[0] == 0) r->ctr[1]++;
        r->left = 4;
    }
    return r->buf[--r->left];
}

float bw__rng_uniform(bw_rng *r)
{
    return (float)(bw__rng_u32(r) >> 8) * 0x1p-24f;
}

double bw__rng_uniform_f64(bw_rng *r)
{
    uint64_t hi = bw__rng_u32(r) >> 5, lo = bw__rng_u32(r) >> 6;
    return (double)(hi << 26 | lo) * 0x1p-53;
}

uint64_t bw__rng_below(bw_rng *r, uint64_t n)
{
    /* Rejection: values above the largest multiple of n are drawn again. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;
    do {
        v = (uint64_t)bw__rng_u32(r) << 32 | bw__rng_u32(r);
    } while (v >= limit);
    return v % n;
}

void bw__rng_normal_f32(bw_rng *r, float *dst, int64_t n)
{
    for (int64_t i = 0; i < n; i += 2) {
        float u = 1.0f - bw__rng_uniform(r); /* (0, 1] keeps the logarithm finite */
        float radius = sqrtf(-2.0f * logf(u)), angle = 6.283185307f * bw__rng_uniform(r);
        dst[i] = radius * cosf(angle);
        if (i + 1 < n) dst[i + 1] = radius * sinf(angle);
    }
}

uint64_t bw__permute(uint64_t seed, uint64_t epoch, uint64_t i, uint64_t n)
{
    bw_rng r = bw__rng(seed, BW_RNG_ORDER, epoch, 0, 0);
    int half = 1;
    while (half < 31 && (1ull << (2 * half)) < n)
        half++;
    uint64_t mask = (1ull << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t ctr[4] = { (uint32_t)right, round, r.ctr[2], r.ctr[3] }, m[4];
            block(r.key, ctr, m);
            uint64_t next = (left ^ m[0]) & mask;
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}
