/* What a verb says while it works, on stderr: a bar with the time left on a terminal, a line now and
 * then otherwise, and the lines of the library's log between. */
#ifndef BW_CLI_PROGRESS_H
#define BW_CLI_PROGRESS_H
#include <stdbool.h>

/* Receives the library's log from now on. `quiet`: warnings only; `verbose`: everything.
 * Of several ranks the first one speaks, and the others show nothing. */
void cli_progress_setup(const char *verb, bool quiet, bool verbose);

/* A line on stderr; on a terminal broken between words. */
void cli_print_line(const char *line);

/* Columns of the terminal that `fd` is, 0 where it is none. */
int cli_columns(int fd);

/* The work called `what` is done to the share `done` in [0, 1]; `detail` may be "", or parts "a, b, c" of
 * which a terminal shows the first that fit. Cheap enough to call after every step: it draws at most ten
 * times a second. A new `what` starts the clock anew. */
void cli_progress_show(const char *what, double done, const char *detail);

/* Ends the bar, so that other lines can follow. Does nothing where there is none. */
void cli_progress_end(void);

/* A line of information on stderr, not under --quiet. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* bw_progress_fn that shows the progress and stops once a signal asked for it; `user` is not used. */
int cli_progress_callback(void *user, const char *what, double done);
#endif
