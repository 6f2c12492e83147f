/* A whole run with its folder: look, read the inputs, open the folder, go on from the newest checkpoint or
 * begin, train, finish. Whatever fails before the folder is opened leaves nothing behind.
 *
 * With several ranks rank 0 alone sees the folder and files of weights, writes and judges; the others get the
 * settings and the state from it. A phase ends with agree(): what went wrong on one rank ends it on all. */
#include "base/clock.h"
#include "base/memory.h"
#include "blockwise/plan.h"
#include "data/loader.h"
#include "model/network_internal.h"
#include "train/accord.h"
#include "train/checkpoint.h"
#include "train/environment.h"
#include "train/labels.h"
#include "train/metrics.h"
#include "train/online_score.h"
#include "train/run_folder.h"
#include "train/state.h"
#include "train/trainer_internal.h"
#include "train/verdict.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct run {
    const bw_pretrain_options *options;
    bw_config config; /* resolved */
    bw_grid grid;
    bw_comm *comm;         /* borrowed; NULL: alone */
    bw_run_folder *folder; /* of rank 0 alone, as are metrics, history and warned */
    bw_host *host;         /* [ranks] */
    bw_run_state state;    /* of the folder, when the run began */
    bw_dataset *dataset;
    bw_dataset *test; /* for the online probe; NULL without */
    bw_network *network;
    bw_trainer *trainer;
    bw_loader *loader;
    bw_metrics *metrics;
    bw_history *history;                   /* of all steps, those before this process too */
    bw_verdict_word warned[BW_MAX_BLOCKS]; /* of what, or BW_VERDICT_NOT_TRAINED */
    int64_t images, steps_per_epoch;
    int64_t first, total; /* steps done before this process, and of the whole run */
    int64_t saved;        /* step of the newest checkpoint, -1 before any */
    bw_request asked;     /* of this rank, while a step was scored */
    double rss_mb;        /* the most of any rank, as of the step before */
} run;

static void release(run *r)
{
    bw__metrics_close(r->metrics);
    bw__free(r->history);
    bw__loader_free(r->loader);
    bw_trainer_free(r->trainer);
    bw_network_free(r->network);
    bw_dataset_free(r->dataset);
    bw_dataset_free(r->test);
    bw__run_close(r->folder);
    bw__free(r->host);
    bw__grid_destroy(&r->grid);
}

/* --- ranks --- */

/* Rank 0, which writes, says and judges. */
static bool leads(const run *r)
{
    return bw_comm_rank(r->comm) == 0;
}

static bw_status agree(const run *r, bw_status own)
{
    return bw__comm_agree(r->comm, own);
}

/* What rank 0 has found, behind the agreement that it has. */
static bw_status tell(const run *r, void *bytes, size_t n)
{
    return bw_comm_size(r->comm) > 1 ? bw__comm_broadcast(r->comm, bytes, n, 0) : BW_OK;
}

/* --- before the first step --- */

static bw_status check_options(const run *r)
{
    const bw_pretrain_options *o = r->options;
    if (!o->data || (!o->out && leads(r)))
        return bw_fail(BW_EINVAL, "a run needs images (data) and a folder (out)");
    return BW_OK;
}

/* The settings and the grid, alike on all ranks. */
static bw_status settle(run *r)
{
    bw_status st = BW_OK;
    BW_TRY(agree(r, check_options(r)));
    BW_TRY(bw__accord_config(&r->config, r->comm));
    BW_TRY(agree(r, bw_config_resolve(&r->config)));
    BW_TRY(bw__accord_type(&r->config, r->comm));
    BW_TRY(agree(r, bw__grid_create(&r->grid, r->comm, &r->config)));
out:
    return st;
}

static bw_status look(run *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = bw__run_look(&r->state, o->out, &r->config, o->resume);
    if (st != BW_OK) return st;
    if (r->state == BW_RUN_NEW && !o->init && r->config.train.init_blocks.n > 0)
        return bw_fail(BW_EINVAL,
                       "train.init_blocks: there are no weights to take; give them with --init, or "
                       "leave the list out");
    return BW_OK;
}

static bw_status open_data(run *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = bw_dataset_open(&r->dataset, o->data, BW_SPLIT_TRAIN, o->format);
    if (st != BW_OK) return st;
    int64_t there = bw_dataset_size(r->dataset), wanted = r->config.data.images;
    r->images = wanted > 0 && wanted < there ? wanted : there;
    r->steps_per_epoch = r->images / r->config.train.batch; /* the last, smaller batch is dropped */
    if (r->steps_per_epoch == 0)
        return bw_fail(BW_EINVAL,
                       "train.batch is %" PRId64 ", but there are only %" PRId64
                       " images in use of %s; give a smaller batch or more images",
                       r->config.train.batch, r->images, o->data);
    return BW_OK;
}

/* Scores need test images on every rank, or there are none. */
static bw_status open_test(run *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = BW_OK;
    if (r->config.probe.every == 0) return BW_OK;
    st = bw__online_test_open(&r->test, r->dataset, o->data, o->format);
    int64_t missing = r->test == NULL;
    BW_TRY(bw__comm_agree_on(r->comm, st, &missing, 1));
    if (!missing) return bw__accord_data(r->test, o->data, r->comm);
    if (r->test)
        bw_log(BW_LOG_WARN, "online probe: there will be no probe_top1: another rank has no test images");
    bw_dataset_free(r->test);
    r->test = NULL;
out:
    return st;
}

static bw_status open_inputs(run *r)
{
    bw_status st = BW_OK;
    BW_TRY(agree(r, open_data(r)));
    BW_TRY(bw__accord_data(r->dataset, r->options->data, r->comm));
    BW_TRY(agree(r, bw__labels_settle(&r->config, r->dataset, r->options->data)));
    BW_TRY(open_test(r));
out:
    return st;
}

/* For this rank's part of a batch. */
static bw_status check_memory(const run *r)
{
    bw_config config = r->config;
    if (config.train.steps == 0) return BW_OK;
    config.parallel.data = r->grid.data;
    return bw_plan_check(&config);
}

static bw_status build(run *r)
{
    bw_status st = BW_OK;
    const bw_pretrain_options *o = r->options;
    BW_TRY(bw_network_create(&r->network, &r->config));
    BW_TRY(bw__trainer_create_on(&r->trainer, r->network, r->steps_per_epoch, &r->grid));
    r->total = bw_trainer_steps_total(r->trainer);
    if (leads(r) && o->init && r->state == BW_RUN_NEW) BW_TRY(bw_network_init_from(r->network, o->init));
out:
    return st;
}

static bw_status write_environment(run *r)
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

static bw_status write_checkpoint(run *r, int64_t step)
{
    const char *path;
    bw_status st = check_weights(r->network, step);
    /* A checkpoint promises all metrics up to its step. */
    if (st == BW_OK && r->metrics) st = bw__metrics_sync(r->metrics);
    if (st == BW_OK) st = bw__run_path(&path, r->folder, BW_RUN_CHECKPOINTS);
    if (st == BW_OK)
        st = bw__checkpoint_write(path, r->network, r->trainer->probe, step, r->images,
                                  r->config.checkpoint.keep);
    return st;
}

/* Of rank 0, once all ranks are known to have the same. */
static bw_status save(run *r, int64_t step)
{
    bw_status st = BW_OK;
    if (step == r->saved) return BW_OK;
    BW_TRY(bw__state_compare(r->network, r->trainer->probe, r->comm));
    BW_TRY(agree(r, leads(r) ? write_checkpoint(r, step) : BW_OK));
    r->saved = step;
out:
    return st;
}

/* Without the first rank's share of its machine where the others have theirs. */
static bw_status write_config(run *r)
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
static bw_status begin(run *r)
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

static bw_status go_on(run *r, const bw_checkpoint *checkpoint)
{
    if (bw__checkpoint_images(checkpoint) != r->images)
        return bw_fail(
            BW_EINVAL,
            "%s: the run uses %" PRId64 " images, %s has %" PRId64 "; it can only go on with the same data",
            bw__checkpoint_path(checkpoint), bw__checkpoint_images(checkpoint), r->options->data, r->images);
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

/* Of a block that is badly off, once and not at every measure; once more where dead channels have become a
 * collapse. */
static void warn_of_health(run *r, bool aloud)
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
    run *r = user;
    bw__history_add(r->history, step);
    if (step->has_health) warn_of_health(r, false);
}

/* On rank 0. */
static bw_status begin_or_go_on(run *r)
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
out:
    bw__checkpoint_close(checkpoint);
    return st;
}

/* Opens the folder and brings the network to where the run stands. */
static bw_status open_run(run *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = bw__run_open(&r->folder, &r->state, o->out, &r->config, o->resume);
    if (st != BW_OK || r->state == BW_RUN_COMPLETE) return st; /* another process ended it meanwhile */
    return begin_or_go_on(r);
}

/* What open_run() has found, on all ranks. */
static bw_status distribute(run *r)
{
    bw_status st = BW_OK;
    int64_t where[] = { r->first, r->saved };
    BW_TRY(tell(r, where, sizeof where));
    r->first = where[0];
    r->saved = where[1];
    BW_TRY(bw__state_share(r->network, r->trainer->probe, r->comm));
    bw__trainer_set_steps_done(r->trainer, r->first);
out:
    return st;
}

static bw_status start_loader(run *r)
{
    const bw_config *c = &r->config;
    const int64_t images = bw__grid_images(&r->grid, c);
    const bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                      .image_size = c->data.image_size,
                                      .augment = &c->augment,
                                      .batch = c->train.batch,
                                      .first = r->grid.place * images / c->train.split,
                                      .count = images,
                                      .parts = c->train.split,
                                      .images = c->data.images,
                                      .seed = c->seed,
                                      .threads = c->data.threads,
                                      .max_bad = c->data.max_bad,
                                      .start_step = r->first,
                                      .end_step = r->total,
                                      .comm = r->grid.batch };
    return bw__loader_create(&r->loader, r->dataset, &config);
}

/* --- steps --- */

/* The weights are spoilt from here on: nothing is saved, and the message says what is left. */
static bw_status not_finite(const run *r)
{
    char message[512];
    (void)snprintf(message, sizeof message, "%s", bw_last_error());
    if (r->saved < 0)
        return bw_fail(BW_ENONFINITE, "%s; there is no checkpoint before it. A smaller optimizer.lr may help",
                       message);
    return bw_fail(BW_ENONFINITE,
                   "%s; the last good checkpoint is that of step %" PRId64
                   " in %s/%s. A smaller optimizer.lr "
                   "may help",
                   message, r->saved, r->options->out, BW_RUN_CHECKPOINTS);
}

static bw_request ask(const run *r)
{
    return r->options->request ? r->options->request(r->options->user) : BW_GO_ON;
}

/* Scoring takes longer than a step: a request to stop ends it, and one to save is kept. */
static bool told_to_stop(void *user)
{
    run *r = user;
    bw_request request = ask(r);
    if (request != BW_GO_ON) r->asked = request;
    return request == BW_SAVE_AND_STOP;
}

static bool is_scored(const run *r, int64_t step)
{
    int64_t every = r->config.probe.every * r->steps_per_epoch;
    return r->test && every > 0 && (step % every == 0 || step == r->total);
}

static bw_status score_probe(run *r, bw_step *step)
{
    bw_status st =
        bw__online_score(step->probe_top1, r->trainer->probe, r->network, r->test, r->comm, told_to_stop, r);
    step->has_probe_test = st == BW_OK;
    if (st == BW_EINTERRUPTED) return BW_OK; /* the request is in r->asked */
    if (st != BW_EDATA) return st;
    if (leads(r)) bw_log(BW_LOG_WARN, "online probe: no more probe_top1 from here on: %s", bw_last_error());
    bw_dataset_free(r->test);
    r->test = NULL;
    return BW_OK;
}

static bw_status record(run *r, const bw_step *step)
{
    bw_status st = bw__metrics_write(r->metrics, step);
    bw__history_add(r->history, step);
    if (step->has_health) warn_of_health(r, true);
    if (st == BW_OK && r->options->on_step) r->options->on_step(r->options->user, step);
    return st;
}

/* What any rank was asked to do, the most of it, and how its step went. */
static bw_status agree_on_step(run *r, bw_request *request, bw_status own)
{
    enum { REQUEST, RSS, N };
    int64_t most[N] = { [REQUEST] = r->asked != BW_GO_ON ? r->asked : ask(r), [RSS] = bw__peak_rss_bytes() };
    r->asked = BW_GO_ON;
    bw_status st = bw__comm_agree_on(r->comm, own, most, N);
    *request = (bw_request)most[REQUEST];
    r->rss_mb = (double)most[RSS] / 1e6;
    return st;
}

/* A failure in the middle of a step, where ranks wait for each other, is of one rank alone and not agreed on:
 * whoever started the ranks ends them all. That the training diverged all of them find at the same place. */
static bw_status one_step(run *r, bw_request *request, double *last_s)
{
    const bw_batch *batch = NULL;
    bw_step step;

    bw_status st = bw__loader_next(r->loader, &batch);
    if (st != BW_OK) return st;
    BW_ASSERT(batch && batch->step == bw_trainer_steps_done(r->trainer));
    st = bw_trainer_step(r->trainer, &step, batch->images, batch->labels);
    if (st == BW_ENONFINITE) return agree(r, not_finite(r));
    if (st != BW_OK) return st;
    r->network->steps = step.step;
    if (is_scored(r, step.step)) st = score_probe(r, &step);
    if (st != BW_OK) return st;

    /* From step to step, so that waiting for images and writing checkpoints count too. */
    double now = bw__now_s();
    step.samples_per_s = (double)r->config.train.batch / (now - *last_s);
    *last_s = now;
    if (step.peak_rss_mb < r->rss_mb) step.peak_rss_mb = r->rss_mb;
    return agree_on_step(r, request, leads(r) ? record(r, &step) : BW_OK);
}

static bw_status train(run *r)
{
    const bw_pretrain_options *o = r->options;
    int64_t every = r->config.checkpoint.every > 0 ? r->config.checkpoint.every : r->steps_per_epoch;
    double last_s = bw__now_s();

    for (int64_t done = r->first + 1; done <= r->total; done++) {
        bw_request request = BW_GO_ON;
        bw_status st = one_step(r, &request, &last_s);
        if (st != BW_OK) return st;
        if (request != BW_GO_ON || done % every == 0 || done == r->total) st = save(r, done);
        if (st == BW_ENONFINITE) return not_finite(r);
        if (st != BW_OK) return st;
        if (request == BW_SAVE_AND_STOP && done < r->total)
            return agree(r, bw_fail(BW_EINTERRUPTED,
                                    "stopped after step %" PRId64 " of %" PRId64 "; the checkpoint is in %s, "
                                    "--resume goes on from it",
                                    done, r->total, o->out ? o->out : "the run's folder"));
    }
    return BW_OK;
}

static void warn_at_end(const run *r, bw_verdict *verdict)
{
    bw__verdict_judge(verdict, r->history);
    for (int k = 0; k < verdict->blocks; k++)
        if (!r->warned[k] && verdict->block[k].word == BW_VERDICT_DID_NOT_LEARN)
            bw__verdict_warn(&verdict->block[k], k);
}

static bw_status finish(run *r)
{
    bw_status st = BW_OK;
    char *trunk = NULL, text[64];
    const char *path;
    bw_verdict *verdict = NULL;

    BW_TRY(BW_ALLOC(&verdict, 1));
    warn_at_end(r, verdict);
    BW_TRY(bw__metrics_sync(r->metrics));
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_TRUNK));
    BW_TRY(bw__strdup(&trunk, path));
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_HEADS));
    BW_TRY(bw_network_save(r->network, trunk, path));
    (void)snprintf(text, sizeof text, "steps: %" PRId64 "\n", r->total);
    BW_TRY(bw__run_write(r->folder, BW_RUN_FINISHED, text));
out:
    bw__free(trunk);
    bw__free(verdict);
    return st;
}

bw_status bw_pretrain(const bw_pretrain_options *options)
{
    bw_status st = BW_OK;
    run r = { .options = options,
              .config = *options->config,
              .grid = bw__grid_alone(),
              .comm = options->comm,
              .saved = -1 };

    BW_TRY(settle(&r));
    BW_TRY(agree(&r, leads(&r) ? look(&r) : BW_OK));
    BW_TRY(tell(&r, &r.state, sizeof r.state));
    if (r.state == BW_RUN_COMPLETE) goto out;
    BW_TRY(open_inputs(&r));
    BW_TRY(bw__environment_hosts(&r.host, r.comm, &r.config));
    if (leads(&r)) {
        bw__environment_say(&r.config);
        bw__environment_say_ranks(&r.grid, r.host);
    }
    BW_TRY(agree(&r, check_memory(&r))); /* of all, before any takes its own */
    BW_TRY(agree(&r, build(&r)));
    BW_TRY(agree(&r, leads(&r) ? open_run(&r) : BW_OK));
    BW_TRY(tell(&r, &r.state, sizeof r.state));
    if (r.state == BW_RUN_COMPLETE) goto out;
    BW_TRY(distribute(&r));
    if (leads(&r) && options->on_start) options->on_start(options->user, r.total, r.first, r.images);
    if (r.first < r.total) {
        BW_TRY(agree(&r, start_loader(&r)));
        BW_TRY(train(&r));
    }
    BW_TRY(agree(&r, leads(&r) ? finish(&r) : BW_OK));
out:
    release(&r);
    return st;
}
