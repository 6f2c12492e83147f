/* `blockwise bench step`: time of one training step on synthetic images, and of one with the loader on. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/bench_trace.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "train/environment.h"
#include "train/trainer_internal.h"
#include <stdlib.h>

/* What was measured. */
typedef struct result {
    double *seconds; /* [phases, steps]: a sequential run has a phase for every block */
    int phases, steps;
    double sum_s;
    double *loader_seconds; /* [phases, steps], or NULL: with images from the loader, which makes the next
                               batch */
    int64_t peak_bytes;
    int ranks;
    bool profiled, traced;
    bw_profile profile; /* of the same steps */
} result;

/* One step on the next batch of `loader`, the wait for it included. */
static bw_status time_loader_step(double *seconds, bw_trainer *trainer, bw_loader *loader, const int *labels)
{
    const bw_batch *batch = NULL;
    bw_step step;
    double start = bw__now_s();
    bw_status st = bw__loader_next(loader, &batch);
    if (st == BW_OK) st = bw_trainer_step(trainer, &step, batch->images, labels);
    *seconds = bw__now_s() - start;
    return st;
}

/* `loader` may be NULL. With one, steps on its images and on `views` take turns, so that both meet the same
 * machine. */
static bw_status time_phase(result *r, int phase, bw_loader *loader, bw_trainer *trainer, const float *views,
                            const int *labels, int warmup)
{
    bw_step step;
    int64_t at = (int64_t)phase * r->steps;
    double share = 1.0 / ((double)r->phases * (warmup + r->steps));
    bw__trainer_set_steps_done(trainer, trainer->phases.at[phase].begin);
    for (int i = -warmup; i < r->steps; i++) {
        if (i == 0 && (r->profiled || r->traced)) bw__trainer_set_profile(trainer, &r->profile);
        if (i == 0 && phase == 0 && r->traced) {
            bw_status began = cli_trace_begin();
            if (began != BW_OK) return began;
        }
        double start = bw__now_s();
        bw_status st = bw_trainer_step(trainer, &step, views, labels);
        if (st != BW_OK) return st;
        double s = bw__now_s() - start;
        if (i >= 0) {
            r->seconds[at + i] = s;
            r->sum_s += s;
        }
        if (loader) {
            st = time_loader_step(&s, trainer, loader, labels);
            if (st != BW_OK) return st;
            if (i >= 0) r->loader_seconds[at + i] = s;
        }
        if (cli_progress_callback(NULL, "bench step", share * (phase * (warmup + r->steps) + i + warmup + 1)))
            return bw_fail(BW_EINTERRUPTED, "stopped by a signal");
    }
    bw__trainer_set_profile(trainer, NULL);
    return BW_OK;
}

/* Mean over the phases of the median of each. */
static double step_seconds(double *seconds, const result *r)
{
    double sum = 0.0;
    for (int i = 0; i < r->phases; i++)
        sum += cli_median(seconds + (int64_t)i * r->steps, r->steps);
    return sum / r->phases;
}

static int all_steps(const result *r)
{
    return r->phases * r->steps;
}

static int compare_rows(const void *a, const void *b)
{
    double x = ((const struct bw_profile_row *)a)->seconds, y = ((const struct bw_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

/* Longest first; what no operation claims becomes the last row. Returns the number of rows. */
static int profile_rows(struct bw_profile_row *rows, const result *r)
{
    int n = r->profile.n;
    double rest = r->sum_s;
    for (int i = 0; i < n; i++) {
        rows[i] = r->profile.rows[i];
        rest -= rows[i].seconds;
    }
    qsort(rows, (size_t)n, sizeof *rows, compare_rows);
    rows[n] = (struct bw_profile_row){ .what = "everything else", .pass = "", .seconds = rest };
    return n + 1;
}

static void print_profile(const result *r)
{
    struct bw_profile_row rows[BW_MAX_PROFILE_ROWS + 1];
    int n = profile_rows(rows, r);
    printf("%-24s %-20s %9s %7s %9s %8s\n", "operation", "pass", "ms/step", "share", "GFLOP/s", "calls");
    for (int i = 0; i < n; i++) {
        printf("%-24s %-20s %9.2f %6.1f%%", rows[i].what, rows[i].pass, rows[i].seconds / all_steps(r) * 1e3,
               rows[i].seconds / r->sum_s * 1e2);
        if (rows[i].flops)
            printf(" %9.1f", (double)rows[i].flops / rows[i].seconds * 1e-9);
        else
            printf(" %9s", "-");
        printf(" %8lld\n", (long long)(rows[i].calls / all_steps(r)));
    }
}

static json_t *json_profile(const result *r)
{
    struct bw_profile_row rows[BW_MAX_PROFILE_ROWS + 1];
    int n = profile_rows(rows, r);
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        json_t *row = json_object();
        (void)json_object_set_new(row, "operation", json_string(rows[i].what));
        (void)json_object_set_new(row, "pass", json_string(rows[i].pass));
        (void)json_object_set_new(row, "s_per_step", bw__json_real(rows[i].seconds / all_steps(r)));
        (void)json_object_set_new(row, "share", bw__json_real(rows[i].seconds / r->sum_s));
        (void)json_object_set_new(
            row, "gflops",
            rows[i].flops ? bw__json_real((double)rows[i].flops / rows[i].seconds * 1e-9) : json_null());
        (void)json_object_set_new(row, "calls", json_integer(rows[i].calls / all_steps(r)));
        (void)json_array_append_new(array, row);
    }
    return array;
}

/* What ranks do together takes as long as on the slowest: every number becomes the largest over them. */
static bw_status take_slowest(double *seconds, int64_t n, bw_comm *ranks)
{
    bw_status st = BW_OK;
    double *all = NULL;
    int size = bw_comm_size(ranks);
    if (size == 1) return BW_OK;
    BW_TRY(BW_ALLOC(&all, n * size));
    BW_TRY(bw__comm_gather(ranks, all, seconds, (size_t)n * sizeof *seconds));
    for (int64_t i = 0; i < n * size; i++)
        if (all[i] > seconds[i % n]) seconds[i % n] = all[i];
out:
    bw__free(all);
    return st;
}

static bw_status join_results(result *r, bw_comm *ranks)
{
    bw_status st = BW_OK;
    r->ranks = bw_comm_size(ranks);
    r->peak_bytes = bw__peak_rss_bytes();
    BW_TRY(take_slowest(r->seconds, all_steps(r), ranks));
    if (r->loader_seconds) BW_TRY(take_slowest(r->loader_seconds, all_steps(r), ranks));
    BW_TRY(bw__comm_max_i64(ranks, &r->peak_bytes, 1));
out:
    return st;
}

/* "2 threads", or "3 ranks, 2 threads each". */
static const char *workers_text(char *text, size_t size, const bw_config *c, const result *r)
{
    if (r->ranks > 1)
        (void)snprintf(text, size, "%d ranks of %d threads", r->ranks, c->threads);
    else
        (void)snprintf(text, size, "%d threads", c->threads);
    return text;
}

static bw_status print_result(const bw_config *c, const result *r, int64_t flops, bool as_json)
{
    double step_s = step_seconds(r->seconds, r);
    double rate = (double)c->train.batch / step_s, gflops = (double)flops / step_s * 1e-9;
    double peak_mb = (double)r->peak_bytes / 1e6;
    char workers[64];
    double loader_s = r->loader_seconds ? step_seconds(r->loader_seconds, r) : 0.0;
    if (!as_json) {
        printf("%s %s, %lld px, batch %lld, %s, %s\n", cli_setting(c, "train.order"),
               cli_setting(c, "model.arch"), (long long)c->data.image_size, (long long)c->train.batch,
               cli_setting(c, "dtype"), workers_text(workers, sizeof workers, c, r));
        printf("step %.4f s (median), %.2f samples/s, %.1f GFLOP/s, peak memory %.0f MB\n", step_s, rate,
               gflops, peak_mb);
        if (r->loader_seconds)
            printf("with the loader on: step %.4f s (median), %.2f samples/s, %.1f %% of that speed\n",
                   loader_s, (double)c->train.batch / loader_s, 1e2 * step_s / loader_s);
        if (r->profiled) print_profile(r);
        return BW_OK;
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "order", json_string(cli_setting(c, "train.order")));
    (void)json_object_set_new(object, "arch", json_string(cli_setting(c, "model.arch")));
    (void)json_object_set_new(object, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(object, "batch", json_integer(c->train.batch));
    (void)json_object_set_new(object, "dtype", json_string(cli_setting(c, "dtype")));
    (void)json_object_set_new(object, "threads", json_integer(c->threads));
    (void)json_object_set_new(object, "ranks", json_integer(r->ranks));
    (void)json_object_set_new(object, "step_s_median", bw__json_real(step_s));
    (void)json_object_set_new(object, "samples_per_s", bw__json_real(rate));
    (void)json_object_set_new(object, "gflops", bw__json_real(gflops));
    (void)json_object_set_new(object, "peak_rss_mb", bw__json_real(peak_mb));
    if (r->loader_seconds) {
        (void)json_object_set_new(object, "loader_samples_per_s",
                                  bw__json_real((double)c->train.batch / loader_s));
        (void)json_object_set_new(object, "loader_speed_share", bw__json_real(step_s / loader_s));
    }
    if (r->profiled) (void)json_object_set_new(object, "profile", json_profile(r));
    return cli_print_json(object);
}

static int run_bench_step(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    bw_grid grid = bw__grid_alone();
    bw_network *network = NULL;
    bw_trainer *trainer = NULL;
    bw_dataset *dataset = NULL;
    bw_loader *loader = NULL;
    float *views = NULL;
    int *labels = NULL;
    result r = { .steps = o->steps > 0 ? o->steps : CLI_BENCH_STEPS,
                 .profiled = o->profile,
                 .traced = o->trace != NULL };
    int warmup = o->warmup >= 0 ? o->warmup : CLI_BENCH_WARMUP;

    if (o->data && o->profile) cli_usage_error("--profile and --data cannot be given together");
    if (o->data && o->trace) cli_usage_error("--trace and --data cannot be given together");
    BW_TRY(cli_bench_settings(&config, o));
    if (r.traced) BW_TRY(cli_trace_try(o->trace));
    if (o->data) BW_TRY(bw_dataset_open(&dataset, o->data, BW_SPLIT_TRAIN, o->format));
    config.train.steps = -1; /* every phase has steps */
    bw__environment_say(&config);
    cli_settings_assume_classes(&config);
    BW_TRY(bw__grid_create(&grid, cli_comm(), &config));
    config.parallel.data = grid.data;
    BW_TRY(bw_plan_check(&config));
    BW_TRY(bw__grid_balance(&grid, &config));
    int64_t images = bw__grid_images(&grid, &config);
    int64_t floats = BW_VIEWS * images * config.data.image_size * config.data.image_size * 3;
    BW_TRY(BW_ALLOC(&views, floats));
    bw_rng rng = bw__rng(config.seed, BW_RNG_SYNTHETIC, (uint64_t)grid.place, 0, 0);
    bw__rng_normal_f32(&rng, views, floats);
    BW_TRY(BW_ALLOC(&labels, images)); /* every image of class 0: as long as others */
    BW_TRY(bw_network_create(&network, &config));
    BW_TRY(bw__trainer_create_on(&trainer, network, 1000, &grid));
    r.phases = trainer->phases.n;
    BW_TRY(BW_ALLOC(&r.seconds, all_steps(&r)));
    if (dataset) {
        BW_TRY(BW_ALLOC(&r.loader_seconds, all_steps(&r)));
        BW_TRY(cli_bench_loader_create(&loader, dataset, &config, &grid));
    }
    for (int i = 0; i < r.phases; i++)
        BW_TRY(time_phase(&r, i, loader, trainer, views, labels, warmup));
    cli_progress_end();
    if (r.traced) BW_TRY(cli_trace_write(o->trace));
    BW_TRY(join_results(&r, cli_comm()));
    int64_t flops = bw_trainer_flops(trainer);
    BW_TRY(bw__comm_sum_i64(cli_comm(), &flops, 1));
    if (bw_comm_rank(cli_comm()) == 0) BW_TRY(print_result(&config, &r, flops, o->json));
out:
    bw__loader_free(loader);
    bw_dataset_free(dataset);
    bw__free(r.loader_seconds);
    bw_trainer_free(trainer);
    bw_network_free(network);
    bw__grid_destroy(&grid);
    bw__free(views);
    bw__free(labels);
    bw__free(r.seconds);
    return cli_finish(st);
}

const cli_verb cli_bench_step = {
    .name = "bench step",
    .arguments = "",
    .summary = "Time of one training step on synthetic images",
    .notes = "Takes every setting of 'pretrain'. Without a recipe or a setting "
             "that says otherwise train.batch is 8. With train.order sequential every "
             "block has its --steps, and the time is the mean over blocks. Under mpirun the ranks share "
             "the work as parallel.* says; a step takes as long as on the slowest of them, and "
             "--profile shows rank 0, --trace all of them.",
    .examples = "blockwise bench step --recipe cifar10 --profile",
    .options = { CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_STEPS, CLI_WARMUP, CLI_STEP_DATA, CLI_DATA_FORMAT,
                 CLI_PROFILE, CLI_TRACE, CLI_JSON, CLI_QUIET, CLI_VERBOSE, CLI_END },
    .interruptible = true,
    .on_ranks = true,
    .run = run_bench_step
};
