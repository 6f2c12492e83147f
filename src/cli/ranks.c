#include "cli/ranks.h"
#include <stdlib.h>

static bw_comm *ranks;

bw_comm *cli_comm(void)
{
    return ranks;
}

void cli_ranks_join(const cli_verb *verb)
{
    if (!verb->on_ranks) {
        int n = bw_launched_ranks();
        if (n > 1) cli_usage_error("runs in one process, but %d were started; start it without mpirun", n);
        return;
    }
    bw_status st = bw_comm_start(&ranks);
    if (st != BW_OK) exit(cli_finish(st));
}

void cli_ranks_leave(void)
{
    bw_comm_end(ranks);
    ranks = NULL;
}

void cli_ranks_say(bw_status status, const char *message)
{
    if (status == BW_EREMOTE && bw_comm_all_failed(ranks)) return; /* the rank that failed says it */
    if (bw_comm_size(ranks) == 1)
        cli_error("%s", message);
    else
        cli_error("rank %d of %d: %s", bw_comm_rank(ranks), bw_comm_size(ranks), message);
}
