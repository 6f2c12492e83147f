/* The folder of a run: begun, or gone on with, and saved into. Of several ranks the first alone sees it. */
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/pretrain_internal.h"
#include "train/state.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

bw_status bw__pretrain_tell(const bw_pretraining *r, void *bytes, size_t n)
{
    return bw_comm_size(r->comm) > 1 ? bw__comm_broadcast(r->comm, bytes, n, 0) : BW_OK;
}

static bw_status write_environment(bw_pretraining *r)
{
    char *json = NULL, name[64] = BW_RUN_ENVIRONMENT;
    const bw_environment e = { .command = r->options->command,
                               .data = r->options->data,
                               .data_format = bw_dataset_format(r->dataset),
                               .images = r->images,
                               .first_step = r->first,
                               .grid = &r->grid,
                               .host = r->host };
    /* Each resume leaves its own: a run may move between machines. */
    if (r->first > 0) (void)snprintf(name, sizeof name, "environment-%08" PRId64 ".json", r->first);
    bw_status st = bw__environment_json(&json, &e);
    if (st == BW_OK) st = bw__run_write(r->folder, name, json);
    bw__free(json);
    return st;
}

/* An update can overflow although loss and gradient were finite: the next step would find out, too late for
 * the checkpoint in between. */
static bw_status check_weights(const bw_network *network, int64_t step)
{
    for (int k = 0; k < network->blocks; k++) {
        const bw_params *p = &network->params[k];
        for (int i = 0; i < p->n; i++)
            for (int64_t j = 0; j < p->items[i].count; j++)
                if (!isfinite(p->values[p->items[i].offset + j]))
                    return bw_fail(BW_ENONFINITE, "after step %" PRId64 ", block %d: %s is not finite", step,
                                   k + 1, p->items[i].name);
    }
    return BW_OK;
}

static bw_status write_checkpoint(bw_pretraining *r, int64_t step)
{
    const char *path;
    bw_status st = check_weights(r->network, step);
    /* A checkpoint promises all metrics up to its step. A request among them has come to its end with it. */
    bw_request asked = BW_GO_ON;
    if (st == BW_OK && r->metrics) st = bw__pretrain_record(r, &asked, true);
    if (asked > r->asked) r->asked = asked;
    if (st == BW_OK && r->metrics) st = bw__metrics_sync(r->metrics);
    if (st == BW_OK) st = bw__run_path(&path, r->folder, BW_RUN_CHECKPOINTS);
    if (st == BW_OK)
        st = bw__checkpoint_write(path, r->network, r->trainer->probe, step, r->images,
                                  r->config.checkpoint.keep);
    return st;
}

bw_status bw__pretrain_save(bw_pretraining *r, int64_t step)
{
    bw_status st = BW_OK;
    if (step == r->saved) return BW_OK;
    BW_TRY(bw__state_compare(r->network, r->trainer->probe, &r->grid));
    BW_TRY(bw__state_collect(r->network, r->trainer->probe, &r->grid));
    BW_TRY(bw__pretrain_agree(r, bw__pretrain_leads(r) ? write_checkpoint(r, step) : BW_OK));
    r->saved = step;
out:
    return st;
}

/* Without the first rank's share of its machine where the others have theirs. */
static bw_status write_config(bw_pretraining *r)
{
    bw_config config = r->config;
    bool several = bw_comm_size(r->comm) > 1;
    if (several && !bw_config_is_set(&config, "threads")) config.threads = 0;
    if (several && !bw_config_is_set(&config, "data.threads")) config.data.threads = 0;
    return bw__run_write_config(r->folder, &config);
}

/* A run that starts from given weights saves them first: should it be killed before its first checkpoint, it
 * still goes on from them, whether or not they are named again. config.yaml comes last, because with it the
 * folder is a run that can be resumed. */
static bw_status begin(bw_pretraining *r)
{
    bw_status st = BW_OK;
    if (r->options->init) {
        BW_TRY(write_checkpoint(r, 0));
        r->saved = 0;
    }
    BW_TRY(write_environment(r));
    BW_TRY(write_config(r));
out:
    return st;
}

static bw_status go_on(bw_pretraining *r, const bw_checkpoint *checkpoint)
{
    if (bw__checkpoint_images(checkpoint) != r->images)
        return bw_fail(BW_EINVAL,
                       "%s: the run uses %" PRId64 " images, %s has %" PRId64
                       "; it can only go on with the same data",
                       bw__checkpoint_path(checkpoint), bw__checkpoint_images(checkpoint),
                       bw__pretrain_data(r), r->images);
    if (bw__checkpoint_step(checkpoint) > r->total)
        return bw_fail(BW_EDATA, "%s: is past the run's end at step %" PRId64,
                       bw__checkpoint_path(checkpoint), r->total);
    bw_status st = bw__checkpoint_restore(r->network, r->trainer->probe, checkpoint);
    if (st != BW_OK) return st;
    r->first = r->saved = bw__checkpoint_step(checkpoint);
    bw__trainer_set_steps_done(r->trainer, r->first);
    if (r->options->init)
        bw_log(BW_LOG_INFO, "going on with step %" PRId64 "; the initial weights %s are not read again",
               r->first + 1, r->options->init);
    return write_environment(r);
}

void bw__pretrain_warn_of_health(bw_pretraining *r, bool aloud)
{
    bw_block_verdict v;
    for (int k = 0; k < r->history->blocks; k++) {
        bw__verdict_judge_health(&v, &r->history->block[k]);
        if (!v.advice[0] || v.word == r->warned[k] || r->warned[k] == BW_VERDICT_COLLAPSED) continue;
        r->warned[k] = v.word;
        if (aloud) bw__verdict_warn(&v, k);
    }
}

/* A step of the metrics that are there: what it was warned of was said when it happened. */
static void note_step(void *user, const bw_step *step)
{
    bw_pretraining *r = user;
    bw__history_add(r->history, step);
    r->newest = *step;
    for (int i = 0; i < step->terms; i++) { /* the names are the line's */
        r->newest.term_name[i] = bw__history_term(r->history, step->term_name[i]);
        if (!r->newest.term_name[i]) r->newest.terms = i;
    }
    if (step->has_health) bw__pretrain_warn_of_health(r, false);
}

/* On rank 0. */
static bw_status begin_or_go_on(bw_pretraining *r)
{
    bw_status st = BW_OK;
    bw_checkpoint *checkpoint = NULL;
    const char *path;

    if (r->state == BW_RUN_STARTED) {
        BW_TRY(bw__run_path(&path, r->folder, BW_RUN_CHECKPOINTS));
        BW_TRY(bw__checkpoint_open_newest(&checkpoint, path));
    }
    if (checkpoint) {
        BW_TRY(go_on(r, checkpoint));
    } else {
        /* A new run has read them already, before there was a folder. */
        if (r->options->init && r->state != BW_RUN_NEW)
            BW_TRY(bw_network_init_from(r->network, r->options->init));
        BW_TRY(begin(r));
    }
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_METRICS));
    BW_TRY(bw__metrics_open(&r->metrics, path, r->first));
    BW_TRY(BW_ALLOC(&r->history, 1));
    BW_TRY(bw__metrics_read(path, note_step, r));
    r->owed = r->first > 0 && r->newest.step == r->first && !r->newest.has_probe_test;
out:
    bw__checkpoint_close(checkpoint);
    return st;
}

bw_status bw__pretrain_open_folder(bw_pretraining *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = bw__run_open(&r->folder, &r->state, o->out, &r->config, o->resume);
    if (st != BW_OK || r->state == BW_RUN_COMPLETE) return st; /* another process ended it meanwhile */
    return begin_or_go_on(r);
}

bw_status bw__pretrain_distribute(bw_pretraining *r)
{
    bw_status st = BW_OK;
    int64_t where[] = { r->first, r->saved, r->owed };
    BW_TRY(bw__pretrain_tell(r, where, sizeof where));
    r->first = where[0];
    r->saved = where[1];
    r->owed = where[2] != 0;
    BW_TRY(bw__state_share(r->network, r->trainer->probe, &r->grid));
    bw__trainer_set_steps_done(r->trainer, r->first);
out:
    return st;
}
