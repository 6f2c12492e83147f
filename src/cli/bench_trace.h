/* The trace of `bench step`: what every rank does when, as a file that trace viewers open. */
#ifndef BW_CLI_BENCH_TRACE_H
#define BW_CLI_BENCH_TRACE_H
#include "cli/cli.h"

/* From here on spans are recorded. Collective over cli_comm(): time 0 is when the last rank is here. */
BW_MUST_CHECK
bw_status cli_trace_begin(void);
/* Whether rank 0 can write `path`, asked before the steps. Collective over cli_comm(). BW_EIO, BW_EREMOTE. */
BW_MUST_CHECK
bw_status cli_trace_try(const char *path);
/* Writes them all to `path`, whole or not at all, in the Trace Event Format (JSON; Chrome's about:tracing,
 * Perfetto): a process for each rank, a thread for each track (base/trace.h). Collective over cli_comm();
 * rank 0 writes. BW_EIO, BW_ENOMEM, BW_EREMOTE. */
BW_MUST_CHECK
bw_status cli_trace_write(const char *path);
#endif
