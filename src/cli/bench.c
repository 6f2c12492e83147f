#include "cli/bench.h"
#include "cli/settings.h"
#include <stdlib.h>

static const int64_t BENCH_BATCH = 8; /* small enough for every network on a laptop */

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double cli_median(double *seconds, int n)
{
    qsort(seconds, (size_t)n, sizeof *seconds, compare_seconds);
    return n % 2 == 1 ? seconds[n / 2] : 0.5 * (seconds[n / 2 - 1] + seconds[n / 2]);
}

bw_status cli_bench_loader_create(bw_loader **out, const bw_dataset *dataset, const bw_config *config,
                                  const bw_grid *grid)
{
    const bw_loader_config loading = { .mode = BW_LOADER_VIEWS,
                                       .image_size = config->data.image_size,
                                       .augment = &config->augment,
                                       .batch = config->train.batch,
                                       .first =
                                           grid->place * bw__grid_images(grid, config) / config->train.split,
                                       .count = bw__grid_images(grid, config),
                                       .parts = config->train.split,
                                       .images = config->data.images,
                                       .seed = config->seed,
                                       .threads = config->data.threads,
                                       .max_bad = config->data.max_bad };
    return bw__loader_create(out, dataset, &loading);
}

bw_status cli_bench_settings(bw_config *config, const cli_options *options)
{
    bw_status st = cli_settings_load(config, options, NULL);
    if (st != BW_OK) return st;
    if (!bw_config_is_set(config, "train.batch")) config->train.batch = BENCH_BATCH;
    st = bw_config_resolve(config);
    return st == BW_OK ? bw_compute_settle(config) : st;
}
