#include "model/block.h"

bw_status bw__block_create(bw_block *b, bw_exec *x, const bw_block_spec *spec, const bw_block_config *config,
                           int views, int64_t n, int64_t h, int64_t w, bool training, bool with_head)
{
    bw_status st = BW_OK;
    *b = (bw_block){ .spec = spec, .views = views, .n = views * n };
    BW_TRY(bw__trunk_create(&b->trunk, x, spec, views, b->n, h, w, training));
    b->out_count = b->n * b->trunk.out_h * b->trunk.out_w * spec->out_c;
    if (with_head)
        BW_TRY(bw__head_create(&b->head, x, spec, views, b->n, b->trunk.out_h, b->trunk.out_w, training));
    if (training) BW_TRY(bw__projector_create(&b->projector, x, spec, views, b->n));
    b->noise = (bw_noise){ .kind = training ? config->noise.kind : BW_NOISE_NONE,
                           .sigma = config->noise.sigma,
                           .views = views,
                           .n = n,
                           .positions = b->trunk.out_h * b->trunk.out_w,
                           .c = spec->out_c,
                           .type = x->type };
out:
    if (st != BW_OK) bw__block_destroy(b);
    return st;
}

void bw__block_destroy(bw_block *b)
{
    bw__trunk_destroy(&b->trunk);
    bw__head_destroy(&b->head);
    bw__projector_destroy(&b->projector);
    *b = (bw_block){ 0 };
}

int64_t bw__block_flops(const bw_block *b)
{
    return bw__trunk_flops(&b->trunk, true) + bw__head_flops(&b->head, true) +
           bw__projector_flops(&b->projector);
}

bw_status bw__block_forward(bw_block *b, const bw_run *run, void *out, float **z, const void *in)
{
    bw_status st = BW_OK;
    bool noisy = b->noise.kind != BW_NOISE_NONE;
    BW_TRY(bw__trunk_forward(&b->trunk, run, noisy ? NULL : out, in));
    if (noisy) bw__noise_forward(&b->noise, run->x, out, b->trunk.unit_out[b->spec->n_units - 1]);
    b->head_mark = bw__exec_mark(run->x);
    b->h = bw__exec_take_f32(run->x, b->n * b->spec->head_dim);
    double begin = bw__profile_begin(run->x);
    BW_TRY(bw__head_forward(&b->head, run, b->h, out));
    bw__profile_end(run->x, begin, "head", "forward", bw__head_flops(&b->head, false));
    BW_TRY(bw__projector_forward(&b->projector, run, z, b->h));
out:
    return st;
}

bw_status bw__block_backward(bw_block *b, const bw_run *run, const float *diff_z, const void *in,
                             const void *out)
{
    bw_status st = BW_OK;
    bw_exec *x = run->x;
    /* The gradient of the output outlives everything that is saved, so it lies on the other side. */
    bw_side other = x->side == BW_LOW ? BW_HIGH : BW_LOW;
    size_t mark = bw__arena_mark(&x->arena, other);
    void *diff = bw__arena_take(&x->arena, other, (size_t)b->trunk.max_count * bw__type_size(x->type));
    float *diff_h = bw__exec_take_f32(x, b->n * b->spec->head_dim);
    BW_TRY(bw__projector_backward(&b->projector, run, diff_h, diff_z, b->h));
    double begin = bw__profile_begin(x);
    BW_TRY(bw__head_backward(&b->head, run, diff, diff_h, out));
    bw__profile_end(x, begin, "head", "backward",
                    bw__head_flops(&b->head, true) - bw__head_flops(&b->head, false));
    bw__exec_release(x, b->head_mark);
    if (b->noise.kind != BW_NOISE_NONE)
        bw__noise_backward(&b->noise, x, diff, b->trunk.unit_out[b->spec->n_units - 1]);
    if (run->on_head) BW_TRY(run->on_head(run->user));
    BW_TRY(bw__trunk_backward(&b->trunk, run, diff, in));
out:
    bw__arena_release(&x->arena, other, mark);
    return st;
}
