/* The part of `blockwise plan` about many nodes: a step on every grid of them, and how far each way to share
 * the work scales. */
#ifndef BW_CLI_PLAN_NODES_H
#define BW_CLI_PLAN_NODES_H
#include "cli/cli.h"
#include "formats/json.h"

enum { CLI_MAX_NODE_COUNTS = 32, CLI_MAX_GRIDS = BW_MAX_BLOCKS };

/* "1gbit,50us": tc's words for a rate and a time. Exits where the text is no such thing. */
bw_link cli_parse_network(const char *text);

/* One number of nodes; a way that cannot use so many has rows 0. */
typedef struct cli_node_count {
    int nodes;
    bw_simulated data, block, best;
} cli_node_count;

typedef struct cli_scaling {
    const bw_config *config;
    const bw_link *link;
    const bw_simulation *simulation;
    int64_t steps; /* of the run */
    int nodes;
    int grids;
    bw_simulated grid[CLI_MAX_GRIDS]; /* of `nodes` nodes */
    int counts;
    cli_node_count count[CLI_MAX_NODE_COUNTS]; /* 1, 2, 4 ... nodes */
} cli_scaling;

/* BW_EINVAL: no grid of so many nodes can train this. */
BW_MUST_CHECK
bw_status cli_scaling_work_out(cli_scaling *scaling, const bw_simulation *simulation, const bw_link *link,
                               const bw_config *config, int nodes, int64_t steps);
void cli_scaling_print(const cli_scaling *scaling);
json_t *cli_scaling_json(const cli_scaling *scaling);

/* "1-2 | 3 | 4". */
const char *cli_rows_text(char *text, size_t size, const bw_simulated *grid);
/* "3.4 hours". */
const char *cli_hours_text(char *text, size_t size, double hours);
#endif
