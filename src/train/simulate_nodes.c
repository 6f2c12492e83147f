/* Steps on many nodes before there are any: what blocks cost, from this machine or from their operations,
 * and what they send, put together by train/simulation.h for every grid. */
#include "base/error.h"
#include "base/memory.h"
#include "model/network_internal.h"
#include "train/balance.h"
#include "train/simulation.h"
#include "train/trainer_internal.h"
#include <math.h>

/* Operations of the passes of one block, for all images of the batch. */
typedef struct passes {
    double trunk_forward, forward, head_backward, trunk_backward;
} passes;

/* Of what a link carries: bytes of messages in frames of Ethernet, 1448 of 1514, with acknowledgements of
 * what comes from the other side, 66 bytes for two frames. */
static const double PAYLOAD = 1448.0 / (1514.0 + 33.0);

struct bw_simulation {
    bw_config config; /* of all ranks together; parallel.* of none */
    bw_link link;
    bw_network *outline;
    bw_phases phases;
    bw_block_costs costs;
    passes passes[BW_MAX_BLOCKS];
    int64_t trunk_bytes[BW_MAX_BLOCKS]; /* of gradients */
};

/* Operations by the trainer's own layers. A projector's forward pass is a third of it. */
static bw_status count_passes(bw_simulation *s)
{
    bw_status st = BW_OK;
    bw_trainer *t = NULL;
    const bw_grid alone = bw__grid_alone();
    const double parts = (double)s->config.train.split;
    BW_TRY(bw__trainer_outline(&t, s->outline, &alone));
    for (int k = 0; k < t->created; k++) {
        const bw_block *b = &t->blocks[k].block;
        passes *p = &s->passes[k];
        p->trunk_forward = p->forward = parts * (double)bw__trunk_flops(&b->trunk, false);
        if (!t->blocks[k].loss) continue;
        double head = (double)bw__head_flops(&b->head, false);
        double projector = (double)bw__projector_flops(&b->projector);
        double repeated = s->config.train.recompute ? (double)bw__trunk_repeated_flops(&b->trunk) : 0.0;
        p->forward += parts * (head + projector / 3.0);
        p->head_backward = parts * ((double)bw__head_flops(&b->head, true) - head + projector * 2.0 / 3.0) +
                           (double)bw__loss_flops(t->blocks[k].loss);
        p->trunk_backward = parts * ((double)bw__trunk_flops(&b->trunk, true) + repeated) - p->trunk_forward;
    }
out:
    bw_trainer_free(t);
    return st;
}

static void add_sum(bw_messages *sums, const bw_layer_spec *layer)
{
    if (layer->bn == BW_NO_BN) return;
    sums->calls++;
    sums->bytes += 2 * BW_VIEWS * layer->oc * (int64_t)sizeof(double);
}

/* In the backward pass of projector and head (train/traffic.c has those of all of the block). */
static bw_messages head_sums(const bw_simulation *s, int k)
{
    const bw_block_spec *spec = &s->outline->spec[k];
    bw_messages sums = { 0 };
    if (spec->pool == BW_POOL_CBE) add_sum(&sums, &spec->expand);
    for (int i = 0; i < spec->n_linear; i++)
        add_sum(&sums, &spec->linear[i]);
    return (bw_messages){ sums.calls * s->config.train.split, sums.bytes * s->config.train.split };
}

static double all_passes(const passes *p)
{
    return p->forward + p->head_backward + p->trunk_backward;
}

static void cost_by_operations(bw_simulation *s, double gflops)
{
    const double rate = BW_PLAN_SHARE * gflops * 1e9;
    s->costs.blocks = s->phases.at[s->phases.n - 1].last + 1;
    for (int k = 0; k < s->costs.blocks; k++)
        s->costs.image_s[k] = all_passes(&s->passes[k]) / (rate * (double)s->config.train.batch);
}

static void count_trunk_gradients(bw_simulation *s)
{
    for (int k = 0; k < s->outline->blocks; k++) {
        const bw_params *p = &s->outline->params[k];
        for (int i = 0; i < p->n; i++)
            if (bw__param_is_trained(&p->items[i]) && p->items[i].part == BW_PART_TRUNK)
                s->trunk_bytes[k] += p->items[i].count * (int64_t)sizeof(float);
    }
}

bw_status bw_simulation_create(bw_simulation **out, const bw_config *config, const bw_link *link,
                               double gflops)
{
    bw_status st = BW_OK;
    bw_simulation *s = NULL;
    *out = NULL;
    if (!(link->bytes_per_s > 0.0) || !(link->delay_s >= 0.0) || !isfinite(link->delay_s))
        return bw_fail(BW_EINVAL, "a link of %g bytes/s with a delay of %g s is none", link->bytes_per_s,
                       link->delay_s);
    BW_TRY(BW_ALLOC(&s, 1));
    s->config = *config;
    s->config.parallel.data = s->config.parallel.block = 1;
    s->link = *link;
    s->link.bytes_per_s *= PAYLOAD;
    BW_TRY(bw__network_outline(&s->outline, &s->config));
    bw__phases(&s->phases, &s->config, s->outline->blocks, 1);
    count_trunk_gradients(s);
    BW_TRY(count_passes(s));
    if (gflops > 0.0)
        cost_by_operations(s, gflops);
    else
        BW_TRY(bw__block_costs(&s->costs, &s->config));
    *out = s;
    s = NULL;
out:
    bw_simulation_free(s);
    return st;
}

void bw_simulation_free(bw_simulation *s)
{
    if (!s) return;
    bw_network_free(s->outline);
    bw__free(s);
}

double bw_simulation_measured_s(const bw_simulation *s)
{
    return s->costs.seconds;
}

int bw_simulation_blocks(const bw_simulation *s)
{
    return s->costs.blocks;
}

/* What was measured of a block that learns sometime is a step in which it does. What does not grow with the
 * images is mostly the update. */
static bw_timed_block timed_block(const bw_simulation *s, int k, int ranks, bool learns)
{
    const passes *p = &s->passes[k];
    const int64_t images = s->config.train.batch / ranks, parts = s->config.train.split;
    const double cost_s = (double)images * s->costs.image_s[k], constant_s = s->costs.constant_s[k];
    const double all = all_passes(p);
    bw_timed_block b = { .learns = learns,
                         .overlaps = parts == 1,
                         .trunk_bytes = s->trunk_bytes[k],
                         .sent = bw__block_traffic(s->outline, k, ranks, learns) };
    if (!learns) {
        bool never = bw__phases_of(&s->phases, k) == NULL;
        b.forward_s = never ? cost_s + constant_s : cost_s * p->trunk_forward / all;
        return b;
    }
    if (ranks > 1) b.head_sums = head_sums(s, k);
    b.forward_s = cost_s * p->forward / all * (parts > 1 ? 2.0 : 1.0);
    b.head_s = cost_s * p->head_backward / all;
    b.trunk_s = cost_s * p->trunk_backward / all;
    b.update_s = constant_s;
    return b;
}

static double alone_s(const bw_timed_block *b)
{
    return b->forward_s + b->head_s + b->trunk_s + b->update_s;
}

double bw_simulation_block_s(const bw_simulation *s, int k, int64_t images)
{
    const double share = (double)images / (double)s->config.train.batch;
    double sum = 0.0;
    if (k < 0 || k >= s->costs.blocks) return 0.0;
    for (int i = 0; i < s->phases.n; i++) {
        const bw_phase *phase = &s->phases.at[i];
        if (k > phase->last) continue;
        bw_timed_block b = timed_block(s, k, 1, phase->learns[k]);
        sum += share * (alone_s(&b) - b.update_s) + b.update_s;
    }
    return sum / s->phases.n;
}

/* Adds a step of one phase, as a share of the average step. */
static void add_phase(const bw_simulation *s, bw_simulated *out, const bw_phase *phase)
{
    bw_timed_block block[BW_MAX_BLOCKS];
    bw_timed_row row, slowest = { 0 };
    const double share = 1.0 / s->phases.n;
    for (int k = 0; k <= phase->last; k++)
        block[k] = timed_block(s, k, out->data, phase->learns[k]);
    for (int r = 0; r < out->rows; r++) {
        const int first = out->begin[r], end = r == out->rows - 1 ? phase->last + 1 : out->begin[r + 1];
        const int64_t in_bytes = first > 0 ? block[first - 1].sent.output.bytes : 0;
        bw__time_row(&row, &block[first], end - first, out->data, in_bytes, r < out->rows - 1, &s->link);
        out->row_s[r] += share * row.step_s;
        out->sent_bytes += share * row.sent_bytes * out->data;
        if (r > 0 && row.step_s <= slowest.step_s) continue;
        slowest = row;
        out->slowest = r;
    }
    out->step_s += share * slowest.step_s;
    out->compute_s += share * slowest.compute_s;
    out->statistics_s += share * slowest.statistics_s;
    out->gradients_s += share * slowest.gradients_s;
    out->link_s += share * slowest.link_s;
}

bw_status bw_simulation_grid(const bw_simulation *s, bw_simulated *out, int data, int rows)
{
    bw_grid grid;
    bw_config c = s->config;
    double cost[BW_MAX_BLOCKS];
    *out = (bw_simulated){ .data = data, .rows = rows };
    c.parallel.data = data;
    c.parallel.block = rows;
    if (data < 1 || rows < 1) return bw_fail(BW_EINVAL, "a grid of %d x %d nodes is none", data, rows);
    bw_status st = bw__grid_outline(&grid, &c);
    if (st != BW_OK) return st;
    for (int k = 0; k < s->costs.blocks; k++)
        cost[k] = bw_simulation_block_s(s, k, c.train.batch / data);
    (void)bw__balance(out->begin, cost, s->costs.blocks, rows);
    for (int i = 0; i < s->phases.n; i++)
        add_phase(s, out, &s->phases.at[i]);
    return BW_OK;
}

bw_status bw_simulation_best(const bw_simulation *s, bw_simulated *out, int nodes)
{
    bw_simulated grid;
    *out = (bw_simulated){ 0 };
    for (int rows = 1; rows <= s->costs.blocks && rows <= nodes; rows++) {
        if (nodes % rows != 0) continue;
        if (bw_simulation_grid(s, &grid, nodes / rows, rows) != BW_OK) continue;
        if (out->rows == 0 || grid.step_s < out->step_s) *out = grid;
    }
    if (out->rows == 0)
        return bw_fail(BW_EINVAL,
                       "%d nodes: no parallel.data x parallel.block of so many deals a train.batch of %lld "
                       "evenly on at most %d rows; take another number of nodes, or a batch that it divides",
                       nodes, (long long)s->config.train.batch, s->costs.blocks);
    return BW_OK;
}
