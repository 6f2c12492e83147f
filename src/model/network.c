#include "model/network_internal.h"
#include "base/memory.h"
#include "model/init.h"
#include <math.h>

typedef bw_status (*describe_block)(bw_block_spec *, bw_params *, const bw_config *, int k, bool with_head);

static bw_status list_blocks(bw_network **out, const bw_config *config, int blocks, describe_block describe,
                             bool with_heads)
{
    bw_status st = BW_OK;
    bw_network *net = NULL;
    *out = NULL;
    if (config->threads < 1 || config->data.image_size < 1 || config->head.dim < 1 ||
        config->train.batch < 1 || config->train.split < 1 || config->parallel.block < 1 ||
        isnan(config->optimizer.lr))
        return bw_fail(BW_EINVAL, "the config is not resolved; call bw_config_resolve() first");
    BW_TRY(BW_ALLOC(&net, 1));
    net->config = *config;
    net->has_heads = with_heads;
    for (int k = 0; k < blocks; k++) {
        net->blocks = k + 1;
        BW_TRY(describe(&net->spec[k], &net->params[k], config, k, with_heads));
    }
    *out = net;
    net = NULL;
out:
    bw_network_free(net);
    return st;
}

static bw_status list_for_training(bw_network **out, const bw_config *config, bool with_heads)
{
    return list_blocks(out, config, bw__config_blocks(config), bw__resnet_block, with_heads);
}

bw_status bw__network_allocate(bw_network *net)
{
    bw_status st = BW_OK;
    for (int k = 0; k < net->blocks; k++)
        BW_TRY(BW_ALLOC(&net->params[k].values, net->params[k].total));
out:
    return st;
}

bw_status bw__network_build(bw_network **out, const bw_config *config, bool with_heads)
{
    bw_status st = list_for_training(out, config, with_heads);
    if (st == BW_OK) st = bw__network_allocate(*out);
    if (st == BW_OK) return BW_OK;
    bw_network_free(*out);
    *out = NULL;
    return st;
}

bw_status bw__network_list_for_evaluation(bw_network **out, const bw_config *config, bool with_heads)
{
    return list_blocks(out, config, bw__config_cut_blocks(config), bw__resnet_evaluation_block, with_heads);
}

/* Tensors of the view's block k lie where those of the same names do: all in one block of `trained`. */
static void borrow_values(bw_params *params, const bw_network *trained)
{
    for (int k = 0; k < trained->blocks; k++) {
        const bw_params *theirs = &trained->params[k];
        const bw_param *first = bw__params_find(theirs, params->items[0].name);
        if (!first) continue;
        params->values = theirs->values;
        params->batches_tracked = theirs->batches_tracked;
        for (int i = 0; i < params->n; i++)
            params->items[i].offset = bw__params_find(theirs, params->items[i].name)->offset;
    }
}

bw_status bw__network_view(bw_network **out, const bw_network *trained)
{
    bw_status st = bw__network_list_for_evaluation(out, &trained->config, trained->has_heads);
    if (st != BW_OK) return st;
    (*out)->borrows = true;
    for (int k = 0; k < (*out)->blocks; k++)
        borrow_values(&(*out)->params[k], trained);
    return BW_OK;
}

bw_status bw__network_outline(bw_network **out, const bw_config *config)
{
    bw_status st = list_for_training(out, config, true);
    if (st != BW_OK) return st;
    (*out)->outline = true;
    for (int k = 0; k < (*out)->blocks; k++)
        (*out)->params[k].values = bw__untouchable();
    return BW_OK;
}

bw_status bw__network_create_share(bw_network **out, const bw_config *config, int first, int end)
{
    bw_status st = BW_OK;
    bw_network *net = NULL;
    *out = NULL;
    BW_TRY(list_for_training(&net, config, true));
    for (int k = first; k < end && k < net->blocks; k++) {
        BW_TRY(BW_ALLOC(&net->params[k].values, net->params[k].total));
        bw__init_params(&net->params[k], config->seed);
    }
    *out = net;
    net = NULL;
out:
    bw_network_free(net);
    return st;
}

bw_status bw_network_create(bw_network **out, const bw_config *config)
{
    return bw__network_create_share(out, config, 0, BW_MAX_BLOCKS);
}

void bw_network_free(bw_network *net)
{
    if (!net) return;
    for (int k = 0; k < net->blocks; k++) {
        if (net->outline || net->borrows) net->params[k].values = NULL;
        bw__params_destroy(&net->params[k]);
    }
    bw__free(net);
}

int bw_network_blocks(const bw_network *net)
{
    return net->blocks;
}

bool bw_network_has_heads(const bw_network *net)
{
    return net->has_heads;
}

bool bw_network_has_projectors(const bw_network *net)
{
    return net->has_heads && !net->no_projectors;
}

int64_t bw_network_feature_dim(const bw_network *net, int block, bw_feature feature)
{
    if (block < 0 || block >= net->blocks) return 0;
    return feature == BW_FEATURE_HEAD    ? net->spec[block].head_dim
           : feature == BW_FEATURE_TRUNK ? net->spec[block].out_c
                                         : 0;
}

const bw_config *bw_network_config(const bw_network *net)
{
    return &net->config;
}

int64_t bw_network_parameters(const bw_network *net, int block, bool with_head)
{
    if (block < 0 || block >= net->blocks) return 0;
    const bw_params *ps = &net->params[block];
    bw_part last = !with_head ? BW_PART_TRUNK : net->no_projectors ? BW_PART_HEAD : BW_PART_PROJECTOR;
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++)
        if (bw__param_is_trained(&ps->items[i]) && ps->items[i].part <= last) n += ps->items[i].count;
    return n;
}
