/* What became of each block, as `pretrain` and `inspect` show it. */
#ifndef BW_CLI_VERDICT_TABLE_H
#define BW_CLI_VERDICT_TABLE_H
#include "blockwise/trainer.h"
#include "formats/json.h"

/* Line number `line` of the table, from 0: a heading, a line a block, one for each reason. False past the
 * last. width: columns there are, of which the heading and the blocks use at most so many by leaving some
 * figures out; 0: any. */
bool cli_verdict_line(char *text, size_t size, const bw_verdict *verdict, int line, int width);
#endif
