/* What became of each block, as `pretrain` and `inspect` show it. */
#ifndef BW_CLI_VERDICT_TABLE_H
#define BW_CLI_VERDICT_TABLE_H
#include "blockwise/trainer.h"
#include "formats/json.h"

/* Line number `line` of the table, from 0: a heading, a line a block, one for each reason. False past the
 * last.
 */
bool cli_verdict_line(char *text, size_t size, const bw_verdict *verdict, int line);
#endif
