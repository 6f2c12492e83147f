/* What the program does about its ranks: one of them speaks, and none waits for one that has failed. */
#ifndef BW_CLI_RANKS_H
#define BW_CLI_RANKS_H
#include "cli/cli.h"

/* Joins the ranks for a verb that runs on several, and refuses them for any other; exits where that fails. */
void cli_ranks_join(const cli_verb *verb);
void cli_ranks_leave(void);

/* Says why the program ends. All ranks know of a failure that they found together, and one says it; of one
 * that a single rank met, that rank does. */
void cli_ranks_say(bw_status status, const char *message);
#endif
