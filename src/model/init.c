#include "model/init.h"
#include "base/rng.h"
#include <math.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_name(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

static void fill(float *v, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = value;
}

static void he_normal_fan_out(float *v, const bw_param *p, bw_rng *rng)
{
    double fan_out = (double)(p->dim[0] * p->dim[2] * p->dim[3]);
    float std = (float)sqrt(2.0 / fan_out);
    bw__rng_normal_f32(rng, v, p->count);
    for (int64_t i = 0; i < p->count; i++)
        v[i] *= std;
}

static void uniform_fan_in(float *v, const bw_param *p, int64_t fan_in, bw_rng *rng)
{
    float bound = (float)(1.0 / sqrt((double)fan_in));
    for (int64_t i = 0; i < p->count; i++)
        v[i] = bound * (2.0f * bw__rng_uniform(rng) - 1.0f);
}

void bw__init_params(bw_params *ps, uint64_t seed)
{
    for (int i = 0; i < ps->n; i++) {
        const bw_param *p = &ps->items[i];
        float *v = ps->values + p->offset;
        bw_rng rng = bw__rng(seed, BW_RNG_INIT, hash_name(p->name), 0, 0);
        switch (p->kind) {
        case BW_PARAM_CONV:
            if (p->part == BW_PART_TRUNK)
                he_normal_fan_out(v, p, &rng);
            else
                uniform_fan_in(v, p, p->count / p->dim[0], &rng);
            break;
        case BW_PARAM_LINEAR:
            uniform_fan_in(v, p, p->dim[1], &rng);
            break;
        case BW_PARAM_BIAS:
            uniform_fan_in(v, p, p[-1].dim[1], &rng);
            break;
        case BW_PARAM_BN_WEIGHT:
            fill(v, p->count, p->zero_init ? 0.0f : 1.0f);
            break;
        case BW_PARAM_RUNNING_VAR:
            fill(v, p->count, 1.0f);
            break;
        case BW_PARAM_BN_BIAS:
        case BW_PARAM_RUNNING_MEAN:
            fill(v, p->count, 0.0f);
            break;
        }
    }
    ps->batches_tracked = 0;
}
