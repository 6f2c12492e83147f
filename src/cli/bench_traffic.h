/* `bench comm --step`: what ranks send in steps of training. */
#ifndef BW_CLI_BENCH_TRAFFIC_H
#define BW_CLI_BENCH_TRAFFIC_H
#include "cli/cli.h"

/* Runs them, counts and prints. Collective over cli_comm(). */
BW_MUST_CHECK
bw_status cli_bench_traffic(const cli_options *options);
#endif
