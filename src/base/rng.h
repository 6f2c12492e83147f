/* Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011) from Random123. A stream is a
 * pure function of (seed, purpose, a, b, c): no hidden state, so the same sample draws the same
 * numbers whatever the number of threads or ranks, and a resumed run goes on bit for bit. */
#ifndef BW_BASE_RNG_H
#define BW_BASE_RNG_H
#include <stdint.h>

typedef enum bw_rng_purpose {
    BW_RNG_INIT = 1,    /* a: hash of the parameter's name                 */
    BW_RNG_ORDER = 2,   /* a: epoch                                        */
    BW_RNG_AUGMENT = 3, /* a: epoch, b: sample, c: view                    */
    BW_RNG_NOISE = 4,   /* a: step, b: sample in the global batch, c: block * 2 + view */
    BW_RNG_PROBE = 5,
    BW_RNG_SYNTHETIC = 6,
    BW_RNG_CORRUPT = 8 /* a: corruption, b: image, c: severity */
} bw_rng_purpose;

typedef struct bw_rng {
    uint32_t key[2];
    uint32_t ctr[4]; /* ctr[0] counts blocks of four numbers */
    uint32_t buf[4];
    int left;
} bw_rng;

bw_rng bw__rng(uint64_t seed, bw_rng_purpose purpose, uint64_t a, uint64_t b, uint32_t c);
uint32_t bw__rng_u32(bw_rng *r);
/* Uniform in [0, 1), 24 bits. */
float bw__rng_uniform(bw_rng *r);
/* Uniform in [0, 1), 53 bits. */
double bw__rng_uniform_f64(bw_rng *r);
/* Uniform integer in [0, n), n >= 1, without bias. */
uint64_t bw__rng_below(bw_rng *r, uint64_t n);
/* Standard normal numbers by Box-Muller, f32: dst[i], i in [0, n), from a fresh stream. */
void bw__rng_normal_f32(bw_rng *r, float *dst, int64_t n);

/* A keyed permutation of [0, n) without a table (cycle-walking Feistel network). */
uint64_t bw__permute(uint64_t seed, uint64_t epoch, uint64_t i, uint64_t n);
#endif
