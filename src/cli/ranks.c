#define _DEFAULT_SOURCE /* gethostname */
#include "cli/ranks.h"
#include "cli/interrupt.h"
#include "dist/collective.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bw_comm *ranks;

/* For another rank to say why and to end the job, also where it takes leave of its neighbours first. */
enum { PATIENCE_S = 10 };

/* Leaves the word to another rank, for so long; signals do not cut it short, since that is how a launcher
 * begins to end a job. Whether it has: then somebody has said why. */
static bool ended_meanwhile(int seconds)
{
    struct timespec left = { .tv_sec = seconds };
    bool signalled = false;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        signalled = signalled || cli_interrupt_signal() != 0;
    return signalled;
}

bw_comm *cli_comm(void)
{
    return ranks;
}

void cli_ranks_begin(void)
{
    if (cli_ranks_speaks() || freopen("/dev/null", "w", stdout)) return;
    cli_error("/dev/null: %s", strerror(errno));
    exit(CLI_EXIT_FAILURE);
}

bool cli_ranks_speaks(void)
{
    return bw_launched_rank() == 0;
}

void cli_ranks_exit(int code)
{
    /* A launcher ends all ranks once one has ended with a failure. The one that speaks shall not be cut off.
     */
    if (!cli_ranks_speaks()) (void)ended_meanwhile(1);
    exit(code);
}

static void say_as_rank(int rank, int size, const char *message)
{
    char host[64] = "";
    (void)gethostname(host, sizeof host - 1);
    cli_error("rank %d of %d on %s: %s", rank, size, host, message);
}

/* This host's program may be the only one without, and the others wait for it: where the rank that speaks for
 * all has not ended them by now. */
static void say_that_there_is_no_mpi(void)
{
    if (cli_ranks_speaks() || ended_meanwhile(3)) return;
    say_as_rank(bw_launched_rank(), bw_launched_ranks(), bw_last_error());
}

void cli_ranks_join(const cli_verb *verb)
{
    if (!verb->on_ranks) {
        int n = bw_launched_ranks();
        if (n > 1) cli_usage_error("runs in one process, but %d were started; start it without mpirun", n);
        return;
    }
    bw_status st = bw_comm_start(&ranks);
    if (st == BW_OK) return;
    if (st == BW_EINVAL && strcmp(bw_comm_library(), "none") == 0) say_that_there_is_no_mpi();
    if (st == BW_EINVAL) cli_usage_error("%s", bw_last_error());
    exit(cli_finish(st));
}

void cli_ranks_leave(void)
{
    bw_comm_end(ranks);
    ranks = NULL;
}

bw_status cli_ranks_agree(bw_status own)
{
    return bw__comm_agree(ranks, own);
}

int cli_ranks_stop_signal(void)
{
    int64_t number = cli_interrupt_signal();
    if (bw_comm_size(ranks) > 1 && bw__comm_max_i64(ranks, &number, 1) != BW_OK) number = 0;
    return (int)number;
}

void cli_ranks_say(bw_status status, const char *message)
{
    int size = bw_comm_size(ranks), rank = bw_comm_rank(ranks);
    bool all = size > 1 && bw_comm_all_failed(ranks);
    if (all && (status == BW_EREMOTE || rank != bw_comm_failed_rank(ranks))) return;
    /* A rank that only found another one gone leaves the first word to whoever knows why. */
    if (status == BW_EREMOTE && size > 1 && ended_meanwhile(PATIENCE_S)) return;
    if (size == 1 || (all && rank == 0)) /* as one process would say it */
        cli_error("%s", message);
    else
        say_as_rank(rank, size, message);
}
