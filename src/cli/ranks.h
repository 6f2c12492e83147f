/* What the program does about its ranks: one of them speaks, and none waits for one that has failed. */
#ifndef BW_CLI_RANKS_H
#define BW_CLI_RANKS_H
#include "cli/cli.h"

/* First of all: only rank 0 has a standard output. */
void cli_ranks_begin(void);
/* Whether this rank speaks for all where all have the same to say: wrong usage, help, progress. */
bool cli_ranks_speaks(void);
/* Joins the ranks for a verb that runs on several, and refuses them for any other; exits where that fails. */
void cli_ranks_join(const cli_verb *verb);
void cli_ranks_leave(void);
/* BW_OK if all ranks have come here with BW_OK: collective, before they go on to what only makes sense
 * together. Of a failure that all agree on one rank says why. */
BW_MUST_CHECK
bw_status cli_ranks_agree(bw_status own);

/* The signal that asked any rank to stop, or 0: collective, once all know that there was one. */
int cli_ranks_stop_signal(void);

/* Says why the program ends: of a failure that all ranks know of the lowest one that met it says so, of any
 * other the rank that met it. Other ranks than the first name themselves and their host. */
void cli_ranks_say(bw_status status, const char *message);
/* Ends this process, after a failure that every rank meets by itself. */
_Noreturn void cli_ranks_exit(int code);
#endif
