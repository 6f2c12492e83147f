/* `blockwise plan`: what a run will need, before it begins. */
#include "cli/cli.h"
#include "cli/plan_nodes.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "base/error.h"
#include "train/order.h"
#include <math.h>
#include <string.h>

static const int64_t IMAGENET_IMAGES = 1281167;
/* The product whose rate stands for the machine's, as BW_PLAN_SHARE was fitted to it. */
enum { PRODUCT = 2048, PRODUCT_REPEATS = 5 };

typedef struct planned {
    bw_config config; /* batch and parallel.* of all nodes */
    int nodes;
    bw_plan plan;              /* of the row that needs most memory; with the blocks of every row */
    bw_simulation *simulation; /* NULL: one row, and no network */
    bw_simulated grid;
    int64_t row_bytes[BW_MAX_BLOCKS]; /* peak, of a rank of each row */
    bw_link link;
    cli_scaling scaling;        /* with --network */
    int64_t available, largest; /* bytes; batch of all nodes that fits, 0: none */
    double gflops;              /* 0: blocks were measured instead */
    bool measured;
    int64_t images, steps;
    double step_s, hours, price;
} planned;

static bw_status count_images(int64_t *out, const bw_config *config, const cli_options *o)
{
    bw_dataset *dataset = NULL;
    int64_t wanted = config->data.images;
    if (o->images > 0) {
        *out = o->images;
    } else if (o->data) {
        bw_status st = bw_dataset_open(&dataset, o->data, BW_SPLIT_TRAIN, NULL);
        if (st != BW_OK) return st;
        *out = bw_dataset_size(dataset);
        bw_dataset_free(dataset);
    } else {
        *out = wanted > 0 ? wanted : IMAGENET_IMAGES;
    }
    if (wanted > 0 && wanted < *out) *out = wanted;
    if (*out < config->train.batch)
        return bw_fail(BW_EINVAL, "train.batch is %lld, but there are only %lld images",
                       (long long)config->train.batch, (long long)*out);
    return BW_OK;
}

/* Nodes as parallel.* says, or as many as --nodes where that leaves parallel.data open. */
static bw_status take_grid(planned *p, const bw_config *config, const cli_options *o)
{
    p->config = *config;
    int rows = config->parallel.block, *data = &p->config.parallel.data;
    if (*data == 0) *data = o->nodes >= rows ? o->nodes / rows : 1;
    p->nodes = *data * rows;
    if (o->nodes > 0 && o->nodes != p->nodes)
        return bw_fail(BW_EINVAL, "parallel.data %d x parallel.block %d is %d nodes, and --nodes says %d",
                       *data, rows, p->nodes, o->nodes);
    return BW_OK;
}

/* How the blocks are shared, or with --network the best grid where parallel.* says none. */
static bw_status simulate(planned *p, const cli_options *o, bool free)
{
    bw_status st = BW_OK;
    bw_config *c = &p->config;
    if (c->parallel.block == 1 && !o->network) return BW_OK;
    BW_TRY(bw_simulation_create(&p->simulation, &p->config, &p->link, o->gflops));
    if (free)
        BW_TRY(bw_simulation_best(p->simulation, &p->grid, o->nodes > 0 ? o->nodes : 1));
    else
        BW_TRY(bw_simulation_grid(p->simulation, &p->grid, c->parallel.data, c->parallel.block));
    c->parallel.data = p->grid.data;
    c->parallel.block = p->grid.rows;
    p->nodes = p->grid.data * p->grid.rows;
out:
    return st;
}

/* Every block has the figures of its own row. */
static bw_status plan_rows(planned *p)
{
    bw_status st = BW_OK;
    bw_plan row;
    bw_plan_block blocks[BW_MAX_BLOCKS] = { 0 };
    int64_t flops = 0, repeated_flops = 0;
    for (int r = 0; r < p->grid.rows; r++) {
        BW_TRY(bw_plan_make_row(&row, &p->config, p->grid.begin, r));
        p->row_bytes[r] = row.peak_bytes;
        for (int k = 0; k < row.blocks; k++)
            if (r == p->grid.rows - 1 || k < p->grid.begin[r + 1])
                if (k >= p->grid.begin[r]) blocks[k] = row.block[k];
        flops += row.flops;
        repeated_flops += row.repeated_flops;
        if (r == 0 || row.peak_bytes > p->plan.peak_bytes) p->plan = row;
    }
    memcpy(p->plan.block, blocks, sizeof blocks);
    p->plan.flops = flops;
    p->plan.repeated_flops = repeated_flops;
out:
    return st;
}

static bw_status find_largest_batch(planned *p)
{
    p->available = bw_available_bytes();
    p->largest = p->config.train.batch;
    /* Of rows the largest batch is not said. */
    if (p->plan.peak_bytes <= p->available || p->grid.rows > 1) return BW_OK;
    return bw_plan_largest_batch(&p->largest, &p->config, p->available);
}

static bw_status estimate_time(planned *p, const cli_options *o)
{
    bw_status st = BW_OK;
    p->gflops = o->gflops;
    p->measured = o->gflops <= 0.0;
    if (p->measured && !p->simulation)
        BW_TRY(bw_bench_matmul(&p->gflops, p->config.dtype, PRODUCT, PRODUCT, PRODUCT, PRODUCT_REPEATS,
                               p->config.threads));
    p->step_s = p->simulation ? p->grid.step_s : bw_plan_step_s(&p->plan, p->gflops);
    p->steps = bw__order_steps(&p->config, p->plan.blocks, p->images / p->config.train.batch);
    p->hours = p->step_s * (double)(p->steps + (p->simulation ? p->grid.rows - 1 : 0)) / 3600.0;
    p->price = o->price;
out:
    return st;
}

static bw_status work_out(planned *p, const bw_config *config, const cli_options *o)
{
    bw_status st = BW_OK;
    const bool grid = bw_config_is_set(config, "parallel.data") || bw_config_is_set(config, "parallel.block");
    p->link = o->network ? cli_parse_network(o->network) : (bw_link){ (double)INFINITY, 0.0 };
    BW_TRY(count_images(&p->images, config, o));
    BW_TRY(take_grid(p, config, o));
    BW_TRY(simulate(p, o, !grid));
    if (p->simulation)
        BW_TRY(plan_rows(p));
    else
        BW_TRY(bw_plan_make(&p->plan, &p->config));
    BW_TRY(find_largest_batch(p));
    BW_TRY(estimate_time(p, o));
    if (o->network)
        BW_TRY(cli_scaling_work_out(&p->scaling, p->simulation, &p->link, &p->config, p->nodes, p->steps));
out:
    return st;
}

/* --- as JSON --- */

static json_t *block_json(const bw_plan_block *b, int number)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "block", json_integer(number));
    (void)json_object_set_new(o, "trunk_parameters", json_integer(b->trunk_parameters));
    (void)json_object_set_new(o, "head_parameters", json_integer(b->head_parameters));
    (void)json_object_set_new(o, "projector_parameters", json_integer(b->projector_parameters));
    (void)json_object_set_new(o, "flops", json_integer(b->flops));
    (void)json_object_set_new(o, "saved_bytes", json_integer(b->saved_bytes));
    (void)json_object_set_new(o, "arena_bytes", json_integer(b->arena_bytes));
    return o;
}

static int64_t batch_of_a_node(const planned *p)
{
    return p->config.train.batch / p->config.parallel.data;
}

static json_t *rows_json(const planned *p)
{
    json_t *rows = json_array();
    for (int r = 0; r < p->grid.rows; r++) {
        json_t *row = json_object();
        (void)json_object_set_new(row, "first_block", json_integer(p->grid.begin[r] + 1));
        (void)json_object_set_new(row, "last_block", json_integer(p->grid.begin[r + 1]));
        (void)json_object_set_new(row, "step_s", bw__json_real(p->grid.row_s[r]));
        (void)json_object_set_new(row, "peak_bytes", json_integer(p->row_bytes[r]));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static bw_status print_json(const planned *p)
{
    const bw_config *c = &p->config;
    const bw_plan *plan = &p->plan;
    json_t *o = json_object(), *blocks = json_array();
    (void)json_object_set_new(o, "order", json_string(cli_setting(c, "train.order")));
    (void)json_object_set_new(o, "arch", json_string(cli_setting(c, "model.arch")));
    (void)json_object_set_new(o, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(o, "batch", json_integer(p->config.train.batch));
    (void)json_object_set_new(o, "nodes", json_integer(p->nodes));
    (void)json_object_set_new(o, "batch_of_a_node", json_integer(batch_of_a_node(p)));
    (void)json_object_set_new(o, "dtype", json_string(cli_setting(c, "dtype")));
    (void)json_object_set_new(o, "threads", json_integer(c->threads));
    for (int k = 0; k < plan->blocks; k++)
        (void)json_array_append_new(blocks, block_json(&plan->block[k], k + 1));
    (void)json_object_set_new(o, "blocks", blocks);
    (void)json_object_set_new(o, "parameters", json_integer(plan->parameters));
    (void)json_object_set_new(o, "flops", json_integer(plan->flops));
    (void)json_object_set_new(o, "repeated_flops", json_integer(plan->repeated_flops));
    (void)json_object_set_new(o, "weight_bytes", json_integer(plan->weight_bytes));
    (void)json_object_set_new(o, "arena_bytes", json_integer(plan->arena_bytes));
    (void)json_object_set_new(o, "input_bytes", json_integer(plan->input_bytes));
    (void)json_object_set_new(o, "process_bytes", json_integer(plan->process_bytes));
    (void)json_object_set_new(o, "peak_bytes", json_integer(plan->peak_bytes));
    (void)json_object_set_new(o, "available_bytes", json_integer(p->available));
    (void)json_object_set_new(o, "fits", json_boolean(plan->peak_bytes <= p->available));
    (void)json_object_set_new(
        o, "largest_batch",
        plan->peak_bytes <= p->available || p->grid.rows > 1 ? json_null() : json_integer(p->largest));
    if (p->simulation) (void)json_object_set_new(o, "rows", rows_json(p));
    if (isfinite(p->link.bytes_per_s)) (void)json_object_set_new(o, "network", cli_scaling_json(&p->scaling));
    (void)json_object_set_new(o, "matmul_gflops", p->gflops > 0.0 ? bw__json_real(p->gflops) : json_null());
    (void)json_object_set_new(o, "matmul_share", bw__json_real(BW_PLAN_SHARE));
    (void)json_object_set_new(o, "step_s", bw__json_real(p->step_s));
    (void)json_object_set_new(o, "samples_per_s", bw__json_real((double)p->config.train.batch / p->step_s));
    (void)json_object_set_new(o, "images", json_integer(p->images));
    (void)json_object_set_new(o, "steps", json_integer(p->steps));
    (void)json_object_set_new(o, "run_hours", bw__json_real(p->hours));
    (void)json_object_set_new(o, "node_hours", bw__json_real(p->hours * p->nodes));
    (void)json_object_set_new(o, "cost",
                              p->price > 0.0 ? bw__json_real(p->hours * p->nodes * p->price) : json_null());
    return cli_print_json(o);
}

/* --- as text --- */

static void print_blocks(const bw_plan *plan)
{
    printf("\n%5s %12s %12s %12s %12s %12s %12s\n", "block", "trunk", "head", "projector", "GFLOP",
           "saved MB", "arena MB");
    for (int k = 0; k < plan->blocks; k++) {
        const bw_plan_block *b = &plan->block[k];
        printf("%5d %12lld %12lld %12lld %12.2f %12.1f %12.1f\n", k + 1, (long long)b->trunk_parameters,
               (long long)b->head_parameters, (long long)b->projector_parameters, (double)b->flops * 1e-9,
               (double)b->saved_bytes * 1e-6, (double)b->arena_bytes * 1e-6);
    }
    puts("Parameters of trunk, head and projector; operations of a step; activations kept for the backward "
         "pass,\n"
         "and the most that is taken while the block works.");
}

static void print_memory(const planned *p)
{
    const bw_plan *plan = &p->plan;
    printf("\nmemory%s\n", p->nodes > 1 ? " of a node" : "");
    printf("%12.1f MB  weights, optimiser state, gradients\n", (double)plan->weight_bytes * 1e-6);
    printf("%12.1f MB  activations and scratch: the largest block\n", (double)plan->arena_bytes * 1e-6);
    printf("%12.1f MB  batch and loader\n", (double)plan->input_bytes * 1e-6);
    printf("%12.1f MB  program, libraries, generated kernels\n", (double)plan->process_bytes * 1e-6);
    printf("%12.1f MB  peak, of %.1f MB available here", (double)plan->peak_bytes * 1e-6,
           (double)p->available * 1e-6);
    if (plan->peak_bytes <= p->available)
        puts(": fits");
    else if (p->grid.rows > 1)
        puts(": does not fit");
    else if (p->largest > 0)
        printf(": does not fit; the largest train.batch that does is %lld\n", (long long)p->largest);
    else
        puts(": does not fit, nor does any batch");
}

static void print_time(const planned *p)
{
    const bw_config *c = &p->config;
    const double gflop = (double)(p->plan.flops + p->plan.repeated_flops) * 1e-9;
    char time[32];
    printf("\nstep %.4g s, %.4g samples/s: ", p->step_s, (double)p->config.train.batch / p->step_s);
    if (p->simulation && p->measured)
        printf("blocks measured here in %.1f s, on a grid of %d x %d\n",
               bw_simulation_measured_s(p->simulation), p->grid.data, p->grid.rows);
    else
        printf("%.2f GFLOP%s at %.0f %% (assumed) of the %.1f GFLOP/s of a matrix product of %d%s\n", gflop,
               p->grid.rows > 1 ? " of the nodes of all rows"
               : p->nodes > 1   ? " on each node"
                                : "",
               100.0 * BW_PLAN_SHARE, p->gflops, PRODUCT, p->measured ? ", measured now" : "");
    printf("run %lld steps of %lld of %lld images, at most %lld epochs%s: ", (long long)p->steps,
           (long long)p->config.train.batch, (long long)p->images, (long long)c->train.epochs,
           c->train.order == BW_ORDER_SEQUENTIAL ? " of every block" : "");
    printf("%s on %d node%s, %.4g node-hours", cli_hours_text(time, sizeof time, p->hours), p->nodes,
           p->nodes > 1 ? "s" : "", p->hours * p->nodes);
    if (p->price > 0.0) printf(", cost %.2f at %g an hour", p->hours * p->nodes * p->price, p->price);
    puts(p->nodes > 1 && !isfinite(p->link.bytes_per_s) ? "\nTime between nodes is not counted." : "");
}

/* Which blocks each row trains. */
static void print_rows(const planned *p)
{
    const bw_simulated *g = &p->grid;
    double sum = 0.0;
    if (g->rows < 2) return;
    for (int r = 0; r < g->rows; r++)
        sum += g->row_s[r];
    printf("\n%5s %8s %12s %8s %12s\n", "row", "blocks", "step s", "share", "peak MB");
    for (int r = 0; r < g->rows; r++) {
        char blocks[32];
        (void)snprintf(blocks, sizeof blocks, g->begin[r] + 1 < g->begin[r + 1] ? "%d-%d" : "%d",
                       g->begin[r] + 1, g->begin[r + 1]);
        printf("%5d %8s %12.4g %6.0f %% %12.1f\n", r + 1, blocks, g->row_s[r], 100.0 * g->row_s[r] / sum,
               (double)p->row_bytes[r] * 1e-6);
    }
    printf("Blocks are shared so that the slowest row is as quick as can be, by what they %s.\n",
           p->measured ? "take here" : "compute");
}

static int run_plan(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    planned p = { 0 };
    BW_TRY(cli_settings_load(&config, o, NULL));
    BW_TRY(bw_config_resolve(&config));
    cli_settings_assume_classes(&config);
    BW_TRY(work_out(&p, &config, o));
    if (o->json) {
        BW_TRY(print_json(&p));
        goto out;
    }
    printf("%s %s, width %lld, stem %s, %lld px, batch %lld, %s, %d threads\n",
           cli_setting(&config, "train.order"), cli_setting(&config, "model.arch"),
           (long long)config.model.width, cli_setting(&config, "model.stem"),
           (long long)config.data.image_size, (long long)p.config.train.batch, cli_setting(&config, "dtype"),
           config.threads);
    print_blocks(&p.plan);
    print_rows(&p);
    print_memory(&p);
    print_time(&p);
    if (o->network) cli_scaling_print(&p.scaling);
out:
    bw_simulation_free(p.simulation);
    return cli_finish(st);
}

const cli_verb cli_plan = {
    .name = "plan",
    .arguments = "",
    .summary = "Memory, operations, time and cost of a run, before it begins",
    .notes =
        "Takes every setting of 'pretrain'. The memory is what a step counts that is done "
        "without any; the time is an estimate. With parallel.block, or with --network, it times blocks for "
        "some seconds, unless --gflops is given. --network simulates --nodes that share the work by "
        "parallel.data, by parallel.block or both (src/train/simulation.h has the formulas), and plans "
        "the grid that parallel.* says, or the quickest.",
    .examples = "blockwise plan --recipe paper-imagenet --set train.batch=64\n"
                "blockwise plan --recipe cifar10 --data cifar/ --nodes 8 --price 2.5",
    .options = { CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_NODES, CLI_NETWORK, CLI_PRICE, CLI_GFLOPS,
                 CLI_PLAN_DATA, CLI_PLAN_IMAGES, CLI_JSON, CLI_QUIET, CLI_END },
    .run = run_plan
};
