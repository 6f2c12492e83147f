/* What the verbs that measure share. */
#ifndef BW_CLI_BENCH_H
#define BW_CLI_BENCH_H
#include "cli/cli.h"
#include "data/loader.h"
#include "train/grid.h"

enum { CLI_BENCH_STEPS = 10, CLI_BENCH_WARMUP = 2 }; /* as the help of --steps and --warmup says */

/* The settings of a measurement, resolved; a small batch where none is given. */
BW_MUST_CHECK
bw_status cli_bench_settings(bw_config *config, const cli_options *options);

/* A loader of two views for these settings, of a rank's images, without end. `dataset` must outlive it. */
BW_MUST_CHECK
bw_status cli_bench_loader_create(bw_loader **out, const bw_dataset *dataset, const bw_config *config,
                                  const bw_grid *grid);

/* Median of seconds[n], n >= 1; sorts them. */
double cli_median(double *seconds, int n);
#endif
