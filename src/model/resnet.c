#include "model/resnet.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Collects parameters; the first failure stays. */
typedef struct builder {
    bw_params *params;
    int capacity;
    bw_status st;
    bw_part part;
    char prefix[32];
} builder;

static int add(builder *b, bw_param_kind kind, int ndim, const int64_t *dim, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static int add(builder *b, bw_param_kind kind, int ndim, const int64_t *dim, const char *fmt, ...)
{
    bw_params *ps = b->params;
    if (b->st != BW_OK) return 0;
    if (ps->n == b->capacity) {
        bw_param *grown = NULL;
        b->capacity = b->capacity ? 2 * b->capacity : 64;
        b->st = BW_ALLOC(&grown, b->capacity);
        if (b->st != BW_OK) return 0;
        if (ps->items) memcpy(grown, ps->items, (size_t)ps->n * sizeof *grown);
        bw__free(ps->items);
        ps->items = grown;
    }
    bw_param *p = &ps->items[ps->n];
    char tail[48];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    (void)snprintf(p->name, sizeof p->name, "%s%s", b->prefix, tail);
    p->part = b->part;
    p->kind = kind;
    p->ndim = ndim;
    p->count = 1;
    for (int i = 0; i < ndim; i++) {
        p->dim[i] = dim[i];
        p->count *= dim[i];
    }
    /* Trained tensors are packed first; buffers are moved behind them in finish(). */
    int64_t *end = bw__param_is_trained(p) ? &ps->trained : &ps->total;
    p->offset = *end;
    *end += p->count;
    return ps->n++;
}

static bw_status finish(builder *b)
{
    bw_params *ps = b->params;
    if (b->st != BW_OK) return b->st;
    for (int i = 0; i < ps->n; i++)
        if (!bw__param_is_trained(&ps->items[i])) ps->items[i].offset += ps->trained;
    ps->total += ps->trained;
    return BW_OK;
}

void bw__params_destroy(bw_params *ps)
{
    bw__free(ps->items);
    bw__free(ps->values);
    bw__free(ps->momenta);
    bw__free(ps->squares);
    *ps = (bw_params){ 0 };
}

const bw_param *bw__params_find(const bw_params *params, const char *name)
{
    for (int i = 0; i < params->n; i++)
        if (strcmp(params->items[i].name, name) == 0) return &params->items[i];
    return NULL;
}

static int add_bn(builder *b, int64_t c, const char *name)
{
    int first = add(b, BW_PARAM_BN_WEIGHT, 1, &c, "%s.weight", name);
    (void)add(b, BW_PARAM_BN_BIAS, 1, &c, "%s.bias", name);
    (void)add(b, BW_PARAM_RUNNING_MEAN, 1, &c, "%s.running_mean", name);
    (void)add(b, BW_PARAM_RUNNING_VAR, 1, &c, "%s.running_var", name);
    return first;
}

static bw_layer_spec add_conv(builder *b, int64_t ic, int64_t oc, int kernel, int stride, const char *name,
                              const char *bn_name)
{
    int64_t dim[] = { oc, ic, kernel, kernel };
    bw_layer_spec s = {
        .ic = ic, .oc = oc, .kernel = kernel, .stride = stride, .pad = kernel / 2, .bn = BW_NO_BN
    };
    s.weight = add(b, BW_PARAM_CONV, 4, dim, "%s.weight", name);
    if (bn_name) s.bn = add_bn(b, oc, bn_name);
    return s;
}

static bw_unit_spec add_unit(builder *b, const bw_config *config, int unit, int64_t *channels)
{
    static const char *const conv[] = { "conv1", "conv2", "conv3" }, *const bn[] = { "bn1", "bn2", "bn3" };
    bool bottleneck = bw__architecture(config->model.arch)->bottleneck;
    int index, stage = bw__arch_stage(config->model.arch, unit, &index);
    int64_t mid = config->model.width << stage, out = bw__stage_channels(&config->model, stage);
    int stride = stage > 0 && index == 0 ? 2 : 1;
    bw_unit_spec u = { .stage = stage, .n_convs = bottleneck ? 3 : 2 };
    int64_t ic = *channels;
    (void)snprintf(b->prefix, sizeof b->prefix, "layer%d.%d.", stage + 1, index);
    for (int i = 0; i < u.n_convs; i++) {
        bool last = i == u.n_convs - 1;
        int kernel = bottleneck && i != 1 ? 1 : 3;
        int s = i == (bottleneck ? 1 : 0) ? stride : 1;
        u.conv[i] = add_conv(b, ic, last ? out : mid, kernel, s, conv[i], bn[i]);
        if (last && config->model.zero_init_residual && b->st == BW_OK)
            b->params->items[u.conv[i].bn].zero_init = true;
        ic = mid;
    }
    u.has_downsample = stride != 1 || *channels != out;
    if (u.has_downsample)
        u.downsample = add_conv(b, *channels, out, 1, stride, "downsample.0", "downsample.1");
    *channels = out;
    return u;
}

static void add_stem(builder *b, bw_block_spec *spec, const bw_config *config)
{
    bool cifar = config->model.stem == BW_STEM_CIFAR;
    spec->has_stem = true;
    spec->max_pool = !cifar;
    spec->stem = add_conv(b, 3, config->model.width, cifar ? 3 : 7, cifar ? 1 : 2, "conv1", "bn1");
}

/* Linear layers of the projector; with cross-entropy these are hidden, and the classifier follows, which
 * alone has a bias. Numbered as the members of Sequential(Linear, BatchNorm1d, ReLU, Linear, ...). */
static void add_projector(builder *b, bw_block_spec *spec, const bw_block_config *c, int number)
{
    bool classifies = c->loss.name == BW_LOSS_CROSS_ENTROPY;
    int64_t in = spec->head_dim;
    if (classifies && c->loss.classes < 2 && b->st == BW_OK)
        b->st = bw_fail(
            BW_EINVAL,
            "block %d: the cross-entropy loss needs loss.classes, the number of classes of the data", number);
    b->part = BW_PART_PROJECTOR;
    spec->n_linear = c->projector.n + (classifies ? 1 : 0);
    for (int i = 0; i < spec->n_linear; i++) {
        bool last = i + 1 == spec->n_linear;
        int64_t dim[] = { last && classifies ? c->loss.classes : c->projector.widths[i], in };
        char bn[32];
        bw_layer_spec s = { .ic = in, .oc = dim[0], .kernel = 1, .stride = 1, .bn = BW_NO_BN };
        s.weight = add(b, BW_PARAM_LINEAR, 2, dim, "projector.%d.weight", 3 * i);
        s.has_bias = last && classifies;
        if (s.has_bias) (void)add(b, BW_PARAM_BIAS, 1, dim, "projector.%d.bias", 3 * i);
        (void)snprintf(bn, sizeof bn, "projector.%d", 3 * i + 1);
        if (!last) s.bn = add_bn(b, dim[0], bn);
        spec->linear[i] = s;
        in = dim[0];
    }
}

static void add_head(builder *b, bw_block_spec *spec, const bw_block_config *config, int number)
{
    b->part = BW_PART_HEAD;
    (void)snprintf(b->prefix, sizeof b->prefix, "blocks.%d.", number);
    if (spec->pool == BW_POOL_CBE)
        spec->expand = add_conv(b, spec->out_c, spec->head_dim, config->head.filter, config->head.stride,
                                "head.conv", "head.bn");
    add_projector(b, spec, config, number);
}

/* Trunk, and which head there is. */
static void add_trunk(builder *b, bw_block_spec *spec, const bw_config *config, bw_unit_range units)
{
    bool first = units.first == 0;
    int64_t channels = first ? config->model.width : bw__unit_channels(config, units.first - 1);
    *spec = (bw_block_spec){ .in_c = first ? 3 : channels };
    if (first) add_stem(b, spec, config);
    for (int i = units.first; i < units.end; i++)
        spec->unit[spec->n_units++] = add_unit(b, config, i, &channels);
    spec->out_c = channels;
    spec->pool = BW_POOL_GSP;
    spec->head_dim = channels;
}

/* Without `settings` the block is one that nobody trains alone. `number`: in names, from 1. */
static bw_status describe(bw_block_spec *spec, bw_params *params, const bw_config *config,
                          bw_unit_range units, const bw_block_config *settings, int number, bool with_head)
{
    builder b = { .params = params, .st = BW_OK, .part = BW_PART_TRUNK };
    *params = (bw_params){ 0 };
    add_trunk(&b, spec, config, units);
    if (settings) {
        spec->pool = settings->head.pool;
        if (settings->head.pool != BW_POOL_GSP) spec->head_dim = settings->head.dim;
        if (settings->head.pool == BW_POOL_LSP &&
            !bw__lsp_grid(&spec->grid_rows, &spec->grid_columns, spec->head_dim, spec->out_c))
            return bw_fail(BW_EINVAL, "the config is not resolved; call bw_config_resolve() first");
        if (with_head) add_head(&b, spec, settings, number);
    }
    bw_status st = finish(&b);
    if (st != BW_OK) bw__params_destroy(params);
    return st;
}

bw_status bw__resnet_block(bw_block_spec *spec, bw_params *params, const bw_config *config, int k,
                           bool with_head)
{
    bw_block_config settings = bw_config_block(config, k);
    bool whole = config->train.order == BW_ORDER_END_TO_END;
    bw_status st = describe(spec, params, config, bw__config_block_units(config, k), &settings,
                            whole ? bw__config_cut_blocks(config) : k + 1, with_head);
    spec->settings = k;
    return st;
}

bw_status bw__resnet_evaluation_block(bw_block_spec *spec, bw_params *params, const bw_config *config, int k,
                                      bool with_head)
{
    int trained = config->train.order == BW_ORDER_END_TO_END ? k - (bw__config_cut_blocks(config) - 1) : k;
    bw_block_config settings = bw_config_block(config, trained >= 0 ? trained : 0);
    bw_status st = describe(spec, params, config, bw__cut_block_units(&config->model, k),
                            trained >= 0 ? &settings : NULL, k + 1, with_head);
    spec->settings = trained >= 0 ? trained : 0;
    return st;
}
