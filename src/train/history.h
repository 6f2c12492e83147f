/* What the metrics of a run amount to, block by block, in the same memory for ten steps or a million. Fed
 * step by step while a run goes on, or from its metrics.jsonl. */
#ifndef BW_TRAIN_HISTORY_H
#define BW_TRAIN_HISTORY_H
#include "blockwise/trainer.h"

enum {
    BW_HISTORY_FIRST = 10,  /* losses kept one by one at the beginning */
    BW_HISTORY_BINS = 128,  /* the rest as sums of equally many, which double when all bins are full */
    BW_HISTORY_HEALTHS = 3, /* newest measures of health kept */
    BW_HISTORY_NAME = 24
};

typedef struct bw_health_note {
    double embedding_std, effective_rank, effective_rank_max, dead_channels;
} bw_health_note;

typedef struct bw_block_history {
    int64_t steps; /* in which it was trained: those with a loss */
    double first[BW_HISTORY_FIRST], bin[BW_HISTORY_BINS];
    int64_t per_bin;
    int bins;                                            /* begun; the last one may be part full */
    int64_t healths;                                     /* measured so far */
    bw_health_note at_start, newest[BW_HISTORY_HEALTHS]; /* number i, from 0, in newest[i % HEALTHS] */
    double grad_norm, term[BW_MAX_TERMS];                /* of its last step; NaN where it has none */
    double probe_top1;                                   /* the newest, where there was any */
} bw_block_history;

typedef struct bw_history {
    int64_t steps; /* number of the newest step */
    int blocks, terms;
    bool has_probe; /* whether probe_top1 has been written */
    char term_name[BW_MAX_TERMS][BW_HISTORY_NAME];
    bw_block_history block[BW_MAX_BLOCKS];
} bw_history;

/* Begins with all bytes zero; steps come in order. */
void bw__history_add(bw_history *history, const bw_step *step);
/* `name`, a term of a step that was added, for as long as the history is there; NULL without room for it. */
const char *bw__history_term(const bw_history *history, const char *name);

/* Mean losses of a block with steps > 0: of the first tenth of its steps, but at most BW_HISTORY_FIRST of
 * them; and of the last twentieth (up to a bin more), or of as many as the first. */
double bw__history_first_loss(const bw_block_history *block);
double bw__history_last_loss(const bw_block_history *block);
/* Mean of the newest measures without the very first; NaN where there is no other. */
bw_health_note bw__history_health(const bw_block_history *block);
#endif
