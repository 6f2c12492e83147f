#include "base/memory.h"
#include "model/block.h"
#include "model/network_internal.h"
#include "nn/pool.h"
#include <math.h>
#include <string.h>

struct bw_extractor {
    const bw_network *network;
    bw_exec exec;
    int64_t batch, image_size;
    bw_block blocks[BW_MAX_BLOCKS];
};

static bool are_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Features of block k from its input; its output goes to the other side of the arena. */
static bw_status extract_block(bw_extractor *e, int k, float **out, float *head, float *trunk,
                               const float *in, int64_t n)
{
    bw_status st = BW_OK;
    bw_exec *x = &e->exec;
    bw_block *b = &e->blocks[k];
    const bw_block_spec *s = b->spec;
    int64_t positions = b->trunk.out_h * b->trunk.out_w;
    bw_run run = { .x = x, .params = &e->network->params[k], .training = false };
    x->side = k % 2 ? BW_HIGH : BW_LOW;
    *out = bw__arena_take(&x->arena, k % 2 ? BW_LOW : BW_HIGH, (size_t)b->out_count * sizeof(float));
    BW_TRY(bw__trunk_forward(&b->trunk, &run, *out, in));
    /* The batch has room for more rows than are wanted: features are made aside and cut. */
    float *h = bw__exec_take_f32(x, e->batch * s->head_dim), *g = bw__exec_take_f32(x, e->batch * s->out_c);
    bool has_head = e->network->has_heads || s->pool != BW_POOL_CBE;
    if (has_head && (head || bw__exec_is_dry(x))) BW_TRY(bw__head_forward(&b->head, &run, h, *out));
    bw__gsp_forward(x, BW_F32, g, *out, e->batch, positions, s->out_c);
    if (bw__exec_is_dry(x)) goto out;
    if (head) memcpy(head, h, (size_t)(n * s->head_dim) * sizeof *h);
    if (trunk) memcpy(trunk, g, (size_t)(n * s->out_c) * sizeof *g);
    /* A trunk that is not finite is an error even where its head hides it. */
    if (!are_finite(g, n * s->out_c) || (head && !are_finite(h, n * s->head_dim)))
        BW_TRY(bw_fail(BW_ENONFINITE,
                       "block %d: a feature is not finite; the weights are damaged or diverged", k + 1));
out:
    bw__arena_release(&x->arena, x->side, 0);
    return st;
}

static bw_status extract(bw_extractor *e, float *const *head, float *const *trunk, const float *images,
                         int64_t n)
{
    bw_status st = BW_OK;
    const float *in = images;
    int64_t count = e->batch * e->image_size * e->image_size * 3,
            given = n * e->image_size * e->image_size * 3;
    float *padded = bw__arena_take(&e->exec.arena, BW_LOW, (size_t)count * sizeof *padded);
    if (n < e->batch && !bw__exec_is_dry(&e->exec)) {
        memcpy(padded, images, (size_t)given * sizeof *padded);
        memset(padded + given, 0, (size_t)(count - given) * sizeof *padded);
        in = padded;
    }
    for (int k = 0; k < e->network->blocks; k++) {
        float *out = NULL;
        BW_TRY(extract_block(e, k, &out, head ? head[k] : NULL, trunk ? trunk[k] : NULL, in, n));
        in = out;
    }
out:
    bw__arena_release(&e->exec.arena, BW_LOW, 0);
    bw__arena_release(&e->exec.arena, BW_HIGH, 0);
    return st;
}

/* With an arena that has only counted. */
static bw_status create_dry(bw_extractor **out, const bw_network *network, int64_t batch, int64_t image_size,
                            int threads)
{
    bw_status st = BW_OK;
    bw_extractor *e = NULL;
    int64_t h = image_size, w = image_size;
    *out = NULL;
    if (batch < 1 || image_size < 1)
        return bw_fail(BW_EINVAL, "batch %lld and image size %lld must be at least 1", (long long)batch,
                       (long long)image_size);
    BW_TRY(BW_ALLOC(&e, 1));
    e->network = network;
    e->batch = batch;
    e->image_size = image_size;
    BW_TRY(bw__exec_create(&e->exec, threads));
    for (int k = 0; k < network->blocks; k++) {
        bw_block_config config = bw_config_block(&network->config, network->spec[k].settings);
        bool head = network->has_heads || network->spec[k].pool != BW_POOL_CBE;
        BW_TRY(bw__block_create(&e->blocks[k], &e->exec, &network->spec[k], &config, 1, batch, h, w, false,
                                head));
        h = e->blocks[k].trunk.out_h;
        w = e->blocks[k].trunk.out_w;
    }
    BW_TRY(extract(e, NULL, NULL, NULL, batch));
    *out = e;
    e = NULL;
out:
    bw_extractor_free(e);
    return st;
}

bw_status bw__extractor_create_on(bw_extractor **out, const bw_network *network, int64_t batch,
                                  int64_t image_size, int threads)
{
    bw_status st = create_dry(out, network, batch, image_size, threads);
    if (st == BW_OK) st = bw__arena_create(&(*out)->exec.arena, (*out)->exec.arena.peak);
    if (st == BW_OK) return BW_OK;
    bw_extractor_free(*out);
    *out = NULL;
    return st;
}

bw_status bw_extractor_create(bw_extractor **out, const bw_network *network, int64_t batch,
                              int64_t image_size)
{
    return bw__extractor_create_on(out, network, batch, image_size, network->config.threads);
}

bw_status bw__extractor_bytes(int64_t *out, const bw_network *network, int64_t batch, int64_t image_size)
{
    bw_extractor *e = NULL;
    bw_status st = create_dry(&e, network, batch, image_size, network->config.threads);
    *out = st == BW_OK ? (int64_t)e->exec.arena.peak : 0;
    bw_extractor_free(e);
    return st;
}

void bw_extractor_free(bw_extractor *e)
{
    if (!e) return;
    for (int k = 0; e->network && k < e->network->blocks; k++)
        bw__block_destroy(&e->blocks[k]);
    bw__exec_destroy(&e->exec);
    bw__free(e);
}

bw_status bw_extractor_run(bw_extractor *e, float *const *head, float *const *trunk, const float *images,
                           int64_t n)
{
    if (n < 1 || n > e->batch)
        return bw_fail(BW_EINVAL, "%lld images for an extractor of batch %lld", (long long)n,
                       (long long)e->batch);
    for (int k = 0; head && k < e->network->blocks; k++)
        if (head[k] && !e->network->has_heads && e->network->spec[k].pool == BW_POOL_CBE)
            return bw_fail(BW_EINVAL,
                           "block %d has no head weights (heads.safetensors was not beside the trunk); "
                           "ask for the trunk feature",
                           k + 1);
    return extract(e, head, trunk, images, n);
}
