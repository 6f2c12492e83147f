/* Verdicts of blocks as JSON: for pages and for `inspect --json`. */
#ifndef BW_REPORT_VERDICT_JSON_H
#define BW_REPORT_VERDICT_JSON_H
#include "blockwise/trainer.h"
#include "formats/json.h"

/* An array of one object a block. */
json_t *bw__verdict_json(const bw_verdict *verdict);
/* Whether any block has been scored by the online probe. */
bool bw__verdict_has_probe(const bw_verdict *verdict);
#endif
