#include "cli/bench_traffic.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "dist/comm_timing.h"
#include "train/traffic.h"
#include "train/trainer_internal.h"

static const struct {
    bw_comm_kind kind;
    bw_comm_operation operation;
    const char *name;
} KINDS[] = { { BW_COMM_SUM, BW_COMM_TIME_SUM_F64, "sums of statistics and losses" },
              { BW_COMM_WORK, BW_COMM_TIME_SUM_F32, "sums of gradients" },
              { BW_COMM_GATHER, BW_COMM_TIME_GATHER, "gathered embeddings" },
              { BW_COMM_SEND, BW_COMM_TIME_SEND, "activations to the next row" } };
enum { N_KINDS = sizeof KINDS / sizeof KINDS[0], ACTIVATIONS = N_KINDS - 1 };

/* What one rank sends in all steps, and in one by the formula. */
typedef struct rank_traffic {
    int first, end; /* its blocks */
    bw_messages counted[N_KINDS], formula[N_KINDS];
} rank_traffic;

typedef struct traffic {
    const bw_config *config;
    const bw_grid *grid;
    int steps;
    rank_traffic *rank; /* [ranks] */
} traffic;

static void count(bw_messages *now)
{
    for (int i = 0; i < N_KINDS; i++) {
        bw_comm_count c = bw__comm_count(KINDS[i].kind);
        now[i] = (bw_messages){ .calls = c.calls, .bytes = c.bytes };
    }
}

static void work_out(rank_traffic *own, const bw_trainer *t)
{
    bw_block_traffic blocks[BW_MAX_BLOCKS];
    own->first = t->first;
    own->end = t->phase->last + 1 < t->created ? t->phase->last + 1 : t->created;
    for (int k = own->first; k < own->end; k++)
        blocks[k] = bw__block_traffic(t->network, k, t->grid->data, t->phase->learns[k]);
    for (int i = 0; i < N_KINDS; i++)
        own->formula[i] = bw__traffic_of_kind(blocks, own->first, own->end, KINDS[i].kind);
    if (t->grid->row < t->grid->rows - 1) own->formula[ACTIVATIONS] = blocks[own->end - 1].output;
}

static bw_status run_steps(traffic *r, bw_trainer *trainer, const float *views, const int *labels, int warmup)
{
    bw_status st = BW_OK;
    bw_step step;
    rank_traffic own = { 0 };
    bw_messages before[N_KINDS];
    for (int i = -warmup; i < r->steps; i++) {
        if (i == 0) count(before);
        BW_TRY(bw_trainer_step(trainer, &step, views, labels));
    }
    count(own.counted);
    for (int i = 0; i < N_KINDS; i++) {
        own.counted[i].calls -= before[i].calls;
        own.counted[i].bytes -= before[i].bytes;
    }
    work_out(&own, trainer);
    BW_TRY(bw__comm_gather(cli_comm(), r->rank, &own, sizeof own));
out:
    return st;
}

/* Bytes of one step on the wire from one rank, of kind i. */
static double on_wire(const traffic *r, const rank_traffic *rank, int i)
{
    return bw__comm_least_sent(KINDS[i].operation, rank->counted[i].bytes, r->grid->data) / r->steps;
}

static double all_on_wire(const traffic *r)
{
    double sum = 0.0;
    for (int k = 0; k < bw_comm_size(cli_comm()); k++)
        for (int i = 0; i < N_KINDS; i++)
            sum += on_wire(r, &r->rank[k], i);
    return sum;
}

static void print_table(const traffic *r)
{
    const bw_config *c = r->config;
    printf("%s %s, %lld px, batch %lld, %s, %d x %d ranks (parallel.data x parallel.block)\n",
           cli_setting(c, "train.order"), cli_setting(c, "model.arch"), (long long)c->data.image_size,
           (long long)c->train.batch, cli_setting(c, "dtype"), r->grid->data, r->grid->rows);
    printf("%-8s %-30s %8s %14s %14s %14s\n", "blocks", "a rank's step", "calls", "bytes", "by formula",
           "on the wire");
    for (int row = 0; row < r->grid->rows; row++) {
        const rank_traffic *rank = &r->rank[row * r->grid->data];
        char blocks[32];
        (void)snprintf(blocks, sizeof blocks, "%d-%d", rank->first + 1, rank->end);
        for (int i = 0; i < N_KINDS; i++) {
            if (rank->counted[i].calls == 0 && rank->formula[i].calls == 0) continue;
            printf("%-8s %-30s %8lld %14lld %14lld %14.0f\n", blocks, KINDS[i].name,
                   (long long)(rank->counted[i].calls / r->steps),
                   (long long)(rank->counted[i].bytes / r->steps), (long long)rank->formula[i].bytes,
                   on_wire(r, rank, i));
        }
    }
    printf("all ranks send %.0f bytes a step, %.0f a sample\n", all_on_wire(r),
           all_on_wire(r) / (double)c->train.batch);
    puts("Bytes: of a rank's values, counted. On the wire: what it sends at least to do that.");
}

static json_t *row_json(const traffic *r, int row)
{
    const rank_traffic *rank = &r->rank[row * r->grid->data];
    json_t *object = json_object(), *kinds = json_array();
    (void)json_object_set_new(object, "first_block", json_integer(rank->first + 1));
    (void)json_object_set_new(object, "last_block", json_integer(rank->end));
    for (int i = 0; i < N_KINDS; i++) {
        json_t *kind = json_object();
        (void)json_object_set_new(kind, "what", json_string(KINDS[i].name));
        (void)json_object_set_new(kind, "calls", json_integer(rank->counted[i].calls / r->steps));
        (void)json_object_set_new(kind, "bytes", json_integer(rank->counted[i].bytes / r->steps));
        (void)json_object_set_new(kind, "formula_calls", json_integer(rank->formula[i].calls));
        (void)json_object_set_new(kind, "formula_bytes", json_integer(rank->formula[i].bytes));
        (void)json_object_set_new(kind, "wire_bytes", bw__json_real(on_wire(r, rank, i)));
        (void)json_array_append_new(kinds, kind);
    }
    (void)json_object_set_new(object, "sent", kinds);
    return object;
}

static bw_status print_json(const traffic *r)
{
    const bw_config *c = r->config;
    json_t *object = json_object(), *rows = json_array();
    (void)json_object_set_new(object, "order", json_string(cli_setting(c, "train.order")));
    (void)json_object_set_new(object, "arch", json_string(cli_setting(c, "model.arch")));
    (void)json_object_set_new(object, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(object, "batch", json_integer(c->train.batch));
    (void)json_object_set_new(object, "dtype", json_string(cli_setting(c, "dtype")));
    (void)json_object_set_new(object, "data", json_integer(r->grid->data));
    (void)json_object_set_new(object, "block", json_integer(r->grid->rows));
    for (int row = 0; row < r->grid->rows; row++)
        (void)json_array_append_new(rows, row_json(r, row));
    (void)json_object_set_new(object, "rows", rows);
    (void)json_object_set_new(object, "wire_bytes_per_step", bw__json_real(all_on_wire(r)));
    (void)json_object_set_new(object, "wire_bytes_per_sample",
                              bw__json_real(all_on_wire(r) / (double)c->train.batch));
    return cli_print_json(object);
}

bw_status cli_bench_traffic(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    bw_grid grid = bw__grid_alone();
    bw_network *network = NULL;
    bw_trainer *trainer = NULL;
    float *views = NULL;
    int *labels = NULL;
    traffic r = { .config = &config, .grid = &grid, .steps = o->steps > 0 ? o->steps : 1 };

    BW_TRY(cli_bench_settings(&config, o));
    config.train.steps = -1;
    config.health.every = INT64_MAX; /* the first step has them, the others are all alike */
    config.probe.every = 0;
    cli_settings_assume_classes(&config);
    BW_TRY(bw__grid_create(&grid, cli_comm(), &config));
    config.parallel.data = grid.data;
    BW_TRY(bw_plan_check(&config));
    int64_t images = bw__grid_images(&grid, &config);
    int64_t floats = BW_VIEWS * images * config.data.image_size * config.data.image_size * 3;
    BW_TRY(BW_ALLOC(&views, floats));
    BW_TRY(BW_ALLOC(&labels, images));
    BW_TRY(BW_ALLOC(&r.rank, bw_comm_size(cli_comm())));
    bw_rng rng = bw__rng(config.seed, BW_RNG_SYNTHETIC, (uint64_t)grid.place, 0, 0);
    bw__rng_normal_f32(&rng, views, floats);
    BW_TRY(bw_network_create(&network, &config));
    BW_TRY(bw__trainer_create_on(&trainer, network, 1000, &grid));
    BW_TRY(run_steps(&r, trainer, views, labels, o->warmup > 0 ? o->warmup : 1));
    if (bw_comm_rank(cli_comm()) > 0) goto out;
    if (o->json)
        BW_TRY(print_json(&r));
    else
        print_table(&r);
out:
    bw_trainer_free(trainer);
    bw_network_free(network);
    bw__grid_destroy(&grid);
    bw__free(r.rank);
    bw__free(views);
    bw__free(labels);
    return st;
}
