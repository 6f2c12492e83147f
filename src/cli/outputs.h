/* Files that a verb writes when its work is done, looked at before it begins. */
#ifndef BW_CLI_OUTPUTS_H
#define BW_CLI_OUTPUTS_H
#include "cli/cli.h"

/* A file and what the command line calls it: "--out". `path` is NULL where it was not given. */
typedef struct cli_file {
    const char *name, *path;
} cli_file;

/* BW_EINVAL where one of the `outputs` [n] is another one or one of the `inputs` [m], by whatever paths. */
BW_MUST_CHECK
bw_status cli_outputs_differ(const cli_file *outputs, int n, const cli_file *inputs, int m);

/* BW_EIO where one of them cannot be written. */
BW_MUST_CHECK
bw_status cli_outputs_try(const cli_file *outputs, int n);
#endif
