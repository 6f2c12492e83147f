/* What the metrics say about each block, in one word and why. */
#ifndef BW_TRAIN_VERDICT_H
#define BW_TRAIN_VERDICT_H
#include "train/history.h"

void bw__verdict_judge(bw_verdict *out, const bw_history *history);
/* Of one block from its measures of health alone, as they are known while the run goes on: collapsed, weak
 * (dead channels), or learnt where nothing is wrong so far. */
void bw__verdict_judge_health(bw_block_verdict *out, const bw_block_history *block);
/* "block 2 has collapsed: ...; try ...": a warning in the log, where there is something to mend. */
void bw__verdict_warn(const bw_block_verdict *verdict, int block);
#endif
