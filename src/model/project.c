#include "model/project.h"
#include "model/network_internal.h"
#include "model/projector.h"
#include <string.h>

int64_t bw__projection_dim(const bw_network *network, int k)
{
    const bw_block_spec *s = &network->spec[k];
    return bw_network_has_projectors(network) && s->n_linear > 0 ? s->linear[s->n_linear - 1].oc : 0;
}

bw_status bw__project(float *z, const bw_network *network, int k, const float *h, int64_t n, int threads)
{
    bw_status st = BW_OK;
    bw_exec x = { 0 };
    bw_projector p = { 0 };
    float *made = NULL;
    int64_t dim = bw__projection_dim(network, k);
    if (dim == 0 || n < 1) return bw_fail(BW_EINVAL, "block %d: no projector, or no features for it", k + 1);
    bw_run run = { .x = &x, .params = &network->params[k] };
    BW_TRY(bw__exec_create(&x, threads));
    BW_TRY(bw__projector_create(&p, &x, &network->spec[k], 1, n));
    BW_TRY(bw__projector_forward(&p, &run, &made, h)); /* dry: it counts its memory */
    size_t bytes = x.arena.peak;
    bw__arena_release(&x.arena, x.side, 0);
    BW_TRY(bw__arena_create(&x.arena, bytes));
    BW_TRY(bw__projector_forward(&p, &run, &made, h));
    memcpy(z, made, (size_t)(n * dim) * sizeof *z);
out:
    bw__projector_destroy(&p);
    bw__exec_destroy(&x);
    return st;
}
