/* A whole run with its folder: look, read the inputs, open the folder, go on from the newest checkpoint or
 * begin, train, finish. Whatever fails before the folder is opened leaves nothing behind.
 *
 * With several ranks rank 0 alone sees the folder and files of weights, writes and judges; the others get the
 * settings and the state from it. A phase ends with bw__pretrain_agree(): what went wrong on one rank ends it
 * on all. */
#include "base/clock.h"
#include "base/memory.h"
#include "blockwise/plan.h"
#include "data/bad_images.h"
#include "model/network_internal.h"
#include "train/accord.h"
#include "train/labels.h"
#include "train/online_score.h"
#include "train/pretrain_internal.h"
#include "train/state.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void release(bw_pretraining *r)
{
    bw__metrics_close(r->metrics);
    bw__events_close(r->events);
    bw__free(r->history);
    bw__loader_free(r->loader);
    /* Neighbours are told what ended the run, wherever that began. */
    const bw_status why = r->status == BW_EREMOTE ? bw_comm_remote_status(r->comm) : r->status;
    bw__step_records_free(r->records, why);
    if (r->trainer && why != BW_OK) r->trainer->failed = why;
    bw_trainer_free(r->trainer);
    bw_network_free(r->network);
    bw_dataset_free(r->opened);
    bw_dataset_free(r->opened_test);
    bw__run_close(r->folder);
    bw__free(r->host);
    bw__grid_destroy(&r->grid);
}

/* --- before the first step --- */

static bw_status check_options(const bw_pretraining *r)
{
    const bw_pretrain_options *o = r->options;
    if (!o->config) return bw_fail(BW_EINVAL, "a run needs settings (config)");
    if ((!o->data && !o->dataset) || (!o->out && bw__pretrain_leads(r)))
        return bw_fail(BW_EINVAL, "a run needs images (data or dataset) and a folder (out)");
    if (o->data && o->dataset)
        return bw_fail(BW_EINVAL, "a run takes its images from either data or dataset");
    return BW_OK;
}

/* The settings and the grid, alike on all ranks. */
static bw_status settle(bw_pretraining *r)
{
    bw_status st = BW_OK;
    BW_TRY(bw__pretrain_agree(r, check_options(r)));
    BW_TRY(bw__accord_config(&r->config, r->comm));
    BW_TRY(bw__pretrain_agree(r, bw_config_resolve(&r->config)));
    BW_TRY(bw__accord_type(&r->config, r->comm));
    BW_TRY(bw__pretrain_agree(r, bw__grid_create(&r->grid, r->comm, &r->config)));
out:
    return st;
}

static bw_status look(bw_pretraining *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = bw__run_look(&r->state, o->out, &r->config, o->resume);
    if (st != BW_OK) return st;
    if (r->state == BW_RUN_NEW && !o->init && r->config.train.init_blocks.n > 0)
        return bw_fail(BW_EINVAL,
                       "train.init_blocks: there are no weights to take; give them with --init, or "
                       "leave the list out");
    if (r->state == BW_RUN_COMPLETE)
        bw_log(BW_LOG_INFO, "%s: the run is finished; to train on, begin another with --init %s", o->out,
               o->out);
    return BW_OK;
}

static bw_status open_data(bw_pretraining *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = o->dataset ? BW_OK : bw_dataset_open(&r->opened, o->data, BW_SPLIT_TRAIN, o->format);
    if (st != BW_OK) return st;
    r->dataset = o->dataset ? o->dataset : r->opened;
    int64_t there = bw_dataset_size(r->dataset), wanted = r->config.data.images;
    r->images = wanted > 0 && wanted < there ? wanted : there;
    r->steps_per_epoch = r->images / r->config.train.batch; /* the last, smaller batch is dropped */
    if (r->steps_per_epoch == 0)
        return bw_fail(BW_EINVAL,
                       "train.batch is %" PRId64 ", but there are only %" PRId64
                       " images in use of %s; give a smaller batch or more images",
                       r->config.train.batch, r->images, bw__pretrain_data(r));
    return bw__bad_images_check_loss(r->dataset, r->config.data.max_bad); /* before there is a folder */
}

/* That given, or that of `data`. */
static bw_status find_test(bw_pretraining *r)
{
    const bw_pretrain_options *o = r->options;
    bw_status st = BW_OK;
    if (o->test)
        st = bw__online_test_check(o->test, r->dataset);
    else if (o->data)
        st = bw__online_test_open(&r->opened_test, r->dataset, o->data, o->format);
    r->test = o->test ? o->test : r->opened_test;
    return st;
}

/* `open` on rank 0 before the others, who then find the index that it has made of shards: each of them would
 * read all shards for one of its own. Hosts with file systems of their own make theirs. */
static bw_status first_rank_first(bw_pretraining *r, bw_status (*open)(bw_pretraining *))
{
    const bool leads = bw__pretrain_leads(r);
    bw_status st = bw__pretrain_agree(r, leads ? open(r) : BW_OK);
    return st != BW_OK || leads ? st : open(r);
}

/* Scores need test images on every rank, or there are none. */
static bw_status open_test(bw_pretraining *r)
{
    bw_status st = BW_OK;
    if (r->config.probe.every == 0) return BW_OK;
    st = first_rank_first(r, find_test);
    int64_t missing = r->test == NULL;
    BW_TRY(bw__comm_agree_on(r->comm, st, &missing, 1));
    if (!missing) return bw__accord_data(r->test, bw__pretrain_data(r), r->comm);
    if (r->test)
        bw_log(BW_LOG_WARN, "online probe: there will be no probe_top1: another rank has no test images");
    r->test = NULL;
out:
    return st;
}

static bw_status open_inputs(bw_pretraining *r)
{
    bw_status st = BW_OK;
    BW_TRY(bw__pretrain_agree(r, first_rank_first(r, open_data)));
    BW_TRY(bw__accord_data(r->dataset, bw__pretrain_data(r), r->comm));
    BW_TRY(bw__pretrain_agree(r, bw__labels_settle(&r->config, r->dataset, bw__pretrain_data(r))));
    BW_TRY(open_test(r));
out:
    return st;
}

/* For this rank's part of a batch. */
static bw_status check_memory(const bw_pretraining *r)
{
    bw_config config = r->config;
    if (config.train.steps == 0) return BW_OK;
    config.parallel.data = r->grid.data;
    config.parallel.block = r->grid.rows;
    return bw_plan_check(&config);
}

static bw_status build(bw_pretraining *r)
{
    bw_status st = BW_OK;
    const bw_pretrain_options *o = r->options;
    BW_TRY(bw_network_create(&r->network, &r->config));
    BW_TRY(bw__trainer_create_on(&r->trainer, r->network, r->steps_per_epoch, &r->grid));
    BW_TRY(bw__step_records_open(&r->records, &r->grid, r->network));
    r->total = bw_trainer_steps_total(r->trainer);
    if (bw__pretrain_leads(r) && o->init && r->state == BW_RUN_NEW)
        BW_TRY(bw_network_init_from(r->network, o->init));
out:
    return st;
}

/* The other rows get what the first makes of the images. */
static bw_status start_loader(bw_pretraining *r)
{
    const bw_config *c = &r->config;
    if (r->grid.row > 0) return BW_OK;
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

/* The folder, for messages: rank 0 alone sees it, and others need not have been given its name. */
static const char *run_text(const bw_pretraining *r)
{
    return bw__pretrain_leads(r) ? r->options->out : "the run's folder";
}

/* The weights are spoilt from here on: nothing is saved, and the message says what is left. */
static bw_status not_finite(const bw_pretraining *r)
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
                   message, r->saved, run_text(r), BW_RUN_CHECKPOINTS);
}

static bw_request ask(const bw_pretraining *r)
{
    return r->options->request ? r->options->request(r->options->user) : BW_GO_ON;
}

/* Scoring takes longer than a step: a request to stop ends it, and one to save is kept. */
static bool told_to_stop(void *user)
{
    bw_pretraining *r = user;
    bw_request request = ask(r);
    if (request != BW_GO_ON) r->asked = request;
    return request == BW_SAVE_AND_STOP;
}

static bool is_scored(const bw_pretraining *r, int64_t step)
{
    int64_t every = r->config.probe.every * r->steps_per_epoch;
    return r->test && (!r->unscored || r->grid.rows > 1) && every > 0 &&
           (step % every == 0 || step == r->total);
}

/* One row deals the test images to its ranks; with more, rank 0 alone can have all blocks. */
static bw_status score_on(bw_pretraining *r, bw_step *step, bw_comm *comm)
{
    bw_status st =
        bw__online_score(step->probe_top1, r->trainer->probe, r->network, r->test, comm, told_to_stop, r);
    step->has_probe_test = st == BW_OK;
    r->owed = st == BW_EINTERRUPTED;
    if (r->owed) return BW_OK; /* the request is in r->asked */
    if (st != BW_EDATA) return st;
    if (bw__pretrain_leads(r))
        bw_log(BW_LOG_WARN, "online probe: no more probe_top1 from here on: %s", bw_last_error());
    r->unscored = true;
    return BW_OK;
}

/* *request becomes the most that any rank was asked meanwhile. It is for this step, in all rows: a score that
 * was given up can only be made up for with the weights of its step. */
static bw_status score_probe(bw_pretraining *r, bw_step *step, bw_request *request)
{
    bw_status st = BW_OK;
    const bool several = r->grid.rows > 1;
    BW_TRY(bw__state_collect(r->network, r->trainer->probe, &r->grid));
    if (!several || (bw__pretrain_leads(r) && !r->unscored)) st = score_on(r, step, several ? NULL : r->comm);
    int64_t asked = r->asked;
    BW_TRY(bw__comm_agree_on(r->comm, st, &asked, 1));
    r->asked = BW_GO_ON;
    *request = (bw_request)asked;
out:
    return st;
}

static bw_status record(bw_pretraining *r, const bw_step *step)
{
    bw_status st = bw__metrics_write(r->metrics, step);
    if (st == BW_OK) bw__events_step(r->events, step);
    bw__history_add(r->history, step);
    if (step->has_health) bw__pretrain_warn_of_health(r, true);
    if (st == BW_OK && r->options->on_step) r->options->on_step(r->options->user, step);
    return st;
}

bw_status bw__pretrain_record(bw_pretraining *r, bw_request *asked, bool all)
{
    bw_step step;
    bool there = bw__pretrain_leads(r);
    bw_status st = BW_OK;
    while (st == BW_OK && there) {
        bw_request of_rows = BW_GO_ON;
        st = bw__step_records_take(r->records, &step, &there, &of_rows, all);
        if (of_rows > *asked) *asked = of_rows;
        if (st == BW_OK && there) st = record(r, &step);
    }
    return st;
}

/* What any rank that shares this one's batch was asked to do, the most of it, and how its step went. In the
 * first row rank 0 brings what the others were asked some steps ago. */
static bw_status agree_on_step(bw_pretraining *r, bw_request *request, bw_step *step)
{
    enum { REQUEST, RSS, N };
    bw_request asked = BW_GO_ON, own;
    bw_status st = BW_OK;
    if (r->grid.row == 0) {
        st = bw__step_records_put(r->records, step, BW_GO_ON);
        if (st == BW_OK) st = bw__pretrain_record(r, &asked, false);
    }
    own = r->asked != BW_GO_ON ? r->asked : ask(r);
    r->asked = BW_GO_ON;
    if (own > asked) asked = own;
    int64_t most[N] = { [REQUEST] = asked, [RSS] = bw__peak_rss_bytes() };
    st = bw__comm_agree_on(r->grid.rows > 1 ? r->grid.batch : r->comm, st, most, N);
    *request = (bw_request)most[REQUEST];
    r->rss_mb = (double)most[RSS] / 1e6;
    if (st != BW_OK || r->grid.row == 0) return st;
    step->peak_rss_mb = r->rss_mb;
    return bw__step_records_put(r->records, step, *request);
}

/* With several rows a request takes effect a step later, in all rows behind the same step: the first row
 * decides between its steps, and the decision goes with the next one. */
static bw_request decide(bw_pretraining *r, bw_request asked)
{
    bw_request now = (bw_request)r->trainer->note;
    if (r->grid.rows == 1) return asked;
    if (r->grid.row == 0) r->trainer->note = (int)asked;
    return now;
}

/* A failure in the middle of a step, where ranks wait for each other, is of one rank alone and not agreed on:
 * whoever started the ranks ends them all. That the training diverged all of one row find at the same place,
 * and one of them says it. */
static bw_status one_step(bw_pretraining *r, bw_request *request, double *last_s)
{
    const bw_batch *batch = NULL;
    bw_step step;
    bw_request asked = BW_GO_ON;

    bw_status st = r->loader ? bw__loader_next(r->loader, &batch) : BW_OK;
    if (st != BW_OK) return st;
    BW_ASSERT(!r->loader || (batch && batch->step == bw_trainer_steps_done(r->trainer)));
    st = bw_trainer_step(r->trainer, &step, batch ? batch->images : NULL, batch ? batch->labels : NULL);
    if (st == BW_ENONFINITE) return bw__comm_agree(r->grid.rows > 1 ? r->grid.batch : r->comm, not_finite(r));
    if (st != BW_OK) return st;
    r->network->steps = step.step;
    if (batch) bw__events_views(r->events, step.step, batch->images, batch->n);
    if (is_scored(r, step.step)) st = score_probe(r, &step, &asked);
    if (st != BW_OK) return st;

    /* From step to step, so that waiting for images and writing checkpoints count too. */
    double now = bw__now_s();
    step.samples_per_s = (double)r->config.train.batch / (now - *last_s);
    *last_s = now;
    if (step.peak_rss_mb < r->rss_mb) step.peak_rss_mb = r->rss_mb;
    st = agree_on_step(r, request, &step);
    *request = decide(r, *request);
    if (asked > *request) *request = asked;
    return st;
}

static bw_status stopped(const bw_pretraining *r, int64_t step)
{
    return bw_fail(BW_EINTERRUPTED,
                   "stopped after step %" PRId64 " of %" PRId64
                   "; the checkpoint is in %s, --resume goes on from it",
                   step, r->total, run_text(r));
}

/* The score of the step that the run goes on behind, where a stop kept it from its line. */
static bw_status make_up_score(bw_pretraining *r)
{
    bw_status st = BW_OK;
    bw_request asked = BW_GO_ON;
    if (bw__pretrain_leads(r))
        bw_log(BW_LOG_INFO, "online probe: scoring step %" PRId64 ", which the run was stopped at", r->first);
    BW_TRY(score_probe(r, &r->newest, &asked));
    if (bw__pretrain_leads(r) && r->newest.has_probe_test) {
        st = bw__metrics_amend(r->metrics, &r->newest);
        bw__events_step(r->events, &r->newest);
    }
    BW_TRY(bw__pretrain_agree(r, st));
    if (asked == BW_SAVE_AND_STOP) st = bw__pretrain_agree(r, stopped(r, r->first));
out:
    return st;
}

static bw_status train(bw_pretraining *r)
{
    int64_t every = r->config.checkpoint.every > 0 ? r->config.checkpoint.every : r->steps_per_epoch;
    double last_s = bw__now_s();

    for (int64_t done = r->first + 1; done <= r->total; done++) {
        bw_request request = BW_GO_ON;
        bw_status st = one_step(r, &request, &last_s);
        if (st != BW_OK) return st;
        if (request != BW_GO_ON || done % every == 0 || done == r->total) st = bw__pretrain_save(r, done);
        if (st == BW_ENONFINITE) return not_finite(r);
        if (st != BW_OK) return st;
        if (request == BW_SAVE_AND_STOP && done < r->total) return bw__pretrain_agree(r, stopped(r, done));
    }
    return BW_OK;
}

static void warn_at_end(const bw_pretraining *r, bw_verdict *verdict)
{
    bw__verdict_judge(verdict, r->history);
    for (int k = 0; k < verdict->blocks; k++)
        if (!r->warned[k] && verdict->block[k].word == BW_VERDICT_DID_NOT_LEARN)
            bw__verdict_warn(&verdict->block[k], k);
}

static bw_status finish(bw_pretraining *r)
{
    bw_status st = BW_OK;
    char *trunk = NULL, text[64];
    const char *path;
    bw_verdict *verdict = NULL;

    if (r->owed) BW_TRY(stopped(r, r->total));
    BW_TRY(BW_ALLOC(&verdict, 1));
    warn_at_end(r, verdict);
    BW_TRY(bw__metrics_sync(r->metrics));
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_TRUNK));
    BW_TRY(bw__strdup(&trunk, path));
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_HEADS));
    BW_TRY(bw_network_save(r->network, trunk, path));
    BW_TRY(bw__run_path(&path, r->folder, BW_RUN_HUB_CONFIG));
    BW_TRY(bw_network_save_config(r->network, path, BW_RUN_TRUNK));
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
    bw_pretraining r = { .options = options,
                         .config = options->config ? *options->config : bw_config_default(),
                         .grid = bw__grid_alone(),
                         .comm = options->comm,
                         .saved = -1 };

    BW_TRY(settle(&r));
    BW_TRY(bw__pretrain_agree(&r, bw__pretrain_leads(&r) ? look(&r) : BW_OK));
    BW_TRY(bw__pretrain_tell(&r, &r.state, sizeof r.state));
    if (r.state == BW_RUN_COMPLETE) goto out;
    BW_TRY(open_inputs(&r));
    BW_TRY(bw__grid_balance(&r.grid, &r.config));
    BW_TRY(bw__environment_hosts(&r.host, r.comm, &r.config));
    if (bw__pretrain_leads(&r)) {
        bw__environment_say(&r.config);
        bw__environment_say_ranks(&r.grid, r.host);
    }
    BW_TRY(bw__pretrain_agree(&r, check_memory(&r))); /* of all, before any takes its own */
    BW_TRY(bw__pretrain_agree(&r, build(&r)));
    BW_TRY(bw__pretrain_agree(&r, bw__pretrain_leads(&r) ? bw__pretrain_open_folder(&r) : BW_OK));
    BW_TRY(bw__pretrain_tell(&r, &r.state, sizeof r.state));
    if (r.state == BW_RUN_COMPLETE) goto out;
    BW_TRY(bw__pretrain_distribute(&r));
    if (bw__pretrain_leads(&r) && options->on_data) options->on_data(options->user, r.dataset);
    if (bw__pretrain_leads(&r) && options->on_start)
        options->on_start(options->user, r.total, r.first, r.images);
    r.owed = r.owed && is_scored(&r, r.first);
    if (bw__pretrain_leads(&r) && (r.owed || r.first < r.total))
        r.events = bw__events_open(options->out, &r.config, r.first, r.total);
    if (r.owed) BW_TRY(make_up_score(&r));
    if (r.first < r.total) {
        BW_TRY(bw__pretrain_agree(&r, start_loader(&r)));
        BW_TRY(train(&r));
    }
    BW_TRY(bw__pretrain_agree(&r, bw__pretrain_leads(&r) ? finish(&r) : BW_OK));
out:
    r.status = st;
    if (st != BW_OK && options->on_failure && !bw_comm_all_failed(r.comm))
        options->on_failure(options->user, st);
    release(&r);
    return st;
}
