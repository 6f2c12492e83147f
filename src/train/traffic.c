#include "train/traffic.h"
#include "nn/fused_head.h"
#include <string.h>

static const int64_t VIEWS = BW_VIEWS, DOUBLE = sizeof(double), FLOAT = sizeof(float);
static const int64_t ANCHOR = 24; /* what SimCLR knows of a row: loss, sum, largest, found */

static void add(bw_messages *m, int64_t calls, int64_t bytes)
{
    m->calls += calls;
    m->bytes += bytes;
}

/* Batch norm behind a layer. */
static void add_layer(bw_block_traffic *t, const bw_layer_spec *layer)
{
    if (layer->bn == BW_NO_BN) return;
    add(&t->forward, 1, 2 * VIEWS * layer->oc * DOUBLE);
    add(&t->backward, 1, 2 * VIEWS * layer->oc * DOUBLE);
}

static void add_head(bw_block_traffic *t, const bw_block_spec *spec)
{
    const bw_layer_spec *s = &spec->expand;
    if (spec->pool != BW_POOL_CBE) return;
    add_layer(t, s);
    if (s->kernel == 1 && bw__fused_head_pays(s->ic, s->oc))
        t->forward.bytes += VIEWS * (s->ic + s->oc) * DOUBLE - 2 * VIEWS * s->oc * DOUBLE;
}

static void add_loss(bw_block_traffic *t, bw_loss_name loss, int64_t images, int64_t d)
{
    switch (loss) {
    case BW_LOSS_BARLOW_TWINS:
        add(&t->loss, 2, 2 * 2 * VIEWS * d * DOUBLE);
        add(&t->loss, 1, d * d * FLOAT);
        break;
    case BW_LOSS_VICREG:
        add(&t->loss, 2 * VIEWS, 2 * VIEWS * d * DOUBLE);
        add(&t->loss, VIEWS, VIEWS * (d * (d + 1) / 2) * FLOAT);
        add(&t->loss, 1, DOUBLE);
        break;
    case BW_LOSS_SIMCLR:
        add(&t->gathered, 2, VIEWS * images * (d * FLOAT + ANCHOR));
        break;
    case BW_LOSS_CROSS_ENTROPY:
        add(&t->loss, 1, 3 * DOUBLE);
        break;
    case BW_LOSS_CUSTOM: /* known to the rule alone */
        break;
    }
}

static void add_passes(bw_block_traffic *t, const bw_block_spec *spec, const bw_block_config *config)
{
    if (spec->has_stem) add_layer(t, &spec->stem);
    for (int u = 0; u < spec->n_units; u++) {
        const bw_unit_spec *unit = &spec->unit[u];
        for (int i = 0; i < unit->n_convs; i++)
            add_layer(t, &unit->conv[i]);
        if (unit->has_downsample) add_layer(t, &unit->downsample);
    }
    if (config->noise.kind == BW_NOISE_ALL) {
        add(&t->forward, 1, 3 * VIEWS * DOUBLE);
        add(&t->backward, 1, 3 * VIEWS * DOUBLE);
    }
    add_head(t, spec);
    for (int i = 0; i < spec->n_linear; i++)
        add_layer(t, &spec->linear[i]);
}

static void multiply(bw_messages *m, int64_t times)
{
    m->calls *= times;
    m->bytes *= times;
}

bw_block_traffic bw__block_traffic(const bw_network *network, int k, int ranks, bool learns)
{
    const bw_config *c = &network->config;
    const bw_block_spec *spec = &network->spec[k];
    const bw_block_config own = bw_config_block(c, spec->settings);
    int64_t images = c->train.batch / ranks, parts = c->train.split;
    int last_unit = bw__config_block_units(c, k).end - 1;
    int64_t size = bw__unit_size(c, last_unit), value = c->dtype == BW_DTYPE_BF16 ? FLOAT / 2 : FLOAT;
    bw_block_traffic t = { 0 };
    add(&t.output, 1, VIEWS * images * size * size * bw__unit_channels(c, last_unit) * value);
    if (ranks == 1 || !learns) return t;
    add_passes(&t, spec, &own);
    /* A batch in parts goes forward twice. */
    multiply(&t.forward, parts > 1 ? 2 * parts : 1);
    multiply(&t.backward, parts);
    add_loss(&t, own.loss.name, images, spec->linear[spec->n_linear - 1].oc);
    /* A batch in parts has one sum at the end; otherwise that of head and projector begins before the trunk.
     */
    add(&t.gradients, parts > 1 ? 1 : 2, network->params[k].trained * FLOAT);
    return t;
}

static void join(bw_messages *sum, bw_messages m)
{
    add(sum, m.calls, m.bytes);
}

bw_messages bw__traffic_of_kind(const bw_block_traffic *blocks, int first, int end, bw_comm_kind kind)
{
    bw_messages sum = { 0 };
    for (int k = first; k < end; k++) {
        const bw_block_traffic *t = &blocks[k];
        if (kind == BW_COMM_SUM) {
            join(&sum, t->forward);
            join(&sum, t->backward);
            join(&sum, t->loss);
        }
        if (kind == BW_COMM_WORK) join(&sum, t->gradients);
        if (kind == BW_COMM_GATHER) join(&sum, t->gathered);
    }
    return sum;
}
