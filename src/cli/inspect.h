/* Parts of `blockwise inspect`. */
#ifndef BW_CLI_INSPECT_H
#define BW_CLI_INSPECT_H
#include "cli/cli.h"
#include "formats/json.h"
#include "formats/safetensors.h"

json_t *cli_network_json(const bw_network *network);
void cli_network_print(const bw_network *network);
const char *cli_dtype_text(bw_st_dtype dtype);

/* Prints what stands in a run folder. BW_EDATA: it is not one. */
BW_MUST_CHECK
bw_status cli_inspect_run(const char *folder, bool as_json);
#endif
