/* A run in the making, shared by the files of bw_pretrain(): what it does from step to step (pretrain.c), and
 * its folder (pretrain_folder.c). */
#ifndef BW_TRAIN_PRETRAIN_INTERNAL_H
#define BW_TRAIN_PRETRAIN_INTERNAL_H
#include "data/loader.h"
#include "train/environment.h"
#include "train/events.h"
#include "train/metrics.h"
#include "train/run_folder.h"
#include "train/step_records.h"
#include "train/trainer_internal.h"
#include "train/verdict.h"

typedef struct bw_pretraining {
    const bw_pretrain_options *options;
    bw_config config; /* resolved */
    bw_grid grid;
    bw_comm *comm;         /* borrowed; NULL: alone */
    bw_run_folder *folder; /* of rank 0 alone, as are metrics, history and warned */
    bw_host *host;         /* [ranks] */
    bw_run_state state;    /* of the folder, when the run began */
    const bw_dataset *dataset;
    const bw_dataset *test;           /* for the online probe; NULL without */
    bw_dataset *opened, *opened_test; /* those of them that were opened here, else NULL */
    bw_network *network;
    bw_trainer *trainer;
    bw_loader *loader;        /* of the first row alone */
    bw_step_records *records; /* of rank 0 and of the first rank of each other row */
    bw_metrics *metrics;
    bw_events *events;                     /* of rank 0 where there are any */
    bw_history *history;                   /* of all steps, those before this process too */
    bw_verdict_word warned[BW_MAX_BLOCKS]; /* of what, or BW_VERDICT_NOT_TRAINED */
    int64_t images, steps_per_epoch;
    int64_t first, total; /* steps done before this process, and of the whole run */
    int64_t saved;        /* step of the newest checkpoint, -1 before any */
    bw_request asked;     /* of this rank, while a step was scored */
    double rss_mb;        /* the most of any rank of this row, as of the step before */
    bool unscored;        /* test images could not be read: no more scores */
    bool owed;            /* the newest step has no score yet, because a stop was asked for meanwhile */
    bw_step newest;       /* of rank 0, where `owed` when the run goes on: the step of its last line */
    bw_status status;     /* of the run, when it is over */
} bw_pretraining;

/* Rank 0, which writes, says and judges. */
static inline bool bw__pretrain_leads(const bw_pretraining *r)
{
    return bw_comm_rank(r->comm) == 0;
}

/* The images, for messages. */
static inline const char *bw__pretrain_data(const bw_pretraining *r)
{
    return r->options->data ? r->options->data : bw_dataset_format(r->dataset);
}

static inline bw_status bw__pretrain_agree(const bw_pretraining *r, bw_status own)
{
    return bw__comm_agree(r->comm, own);
}

/* What rank 0 has found, behind the agreement that it has. */
BW_MUST_CHECK
bw_status bw__pretrain_tell(const bw_pretraining *r, void *bytes, size_t n);

/* Opens the folder and brings network and trainer to where the run stands: on rank 0. `state` is
 * BW_RUN_COMPLETE where another process has ended the run meanwhile. */
BW_MUST_CHECK
bw_status bw__pretrain_open_folder(bw_pretraining *r);
/* What that has found, on all ranks. */
BW_MUST_CHECK
bw_status bw__pretrain_distribute(bw_pretraining *r);
/* A checkpoint of rank 0, once all ranks are known to have the same; nothing where there is one of `step`. */
BW_MUST_CHECK
bw_status bw__pretrain_save(bw_pretraining *r, int64_t step);
/* Writes, on rank 0, the steps that all rows have done; with `all` up to the last one. *asked becomes the
 * most that ranks of other rows were asked to do. */
BW_MUST_CHECK
bw_status bw__pretrain_record(bw_pretraining *r, bw_request *asked, bool all);
/* Of a block that is badly off, once and not at every measure; once more where dead channels have become a
 * collapse. */
void bw__pretrain_warn_of_health(bw_pretraining *r, bool aloud);
#endif
