/* Results as JSON. */
#ifndef BW_CLI_RESULTS_H
#define BW_CLI_RESULTS_H
#include "cli/cli.h"
#include "formats/json.h"

/* Prints `value` on standard output and releases it; BW_ENOMEM where it is NULL. */
BW_MUST_CHECK
bw_status cli_print_json(json_t *value);

/* Share of correct answers in per cent, to the hundredth that is printed. */
json_t *cli_json_percent(double percent);
/* The block as results name it: its number from 1, or `other` for -1. */
json_t *cli_json_block(int block, const char *other);
#endif
