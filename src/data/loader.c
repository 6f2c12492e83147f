#include "data/loader.h"
#include "base/clock.h"
#include "base/machine.h"
#include "base/memory.h"
#include "data/augment.h"
#include "data/bad_images.h"
#include "data/sampler.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Batches in the making ahead of the one that is handed out. They are kept as bytes and become floats only
 * when they are wanted: a quarter of the memory. */
#define AHEAD 2

/* An image that could not be read, met while place `i` of a batch was being filled. */
typedef struct bad_event {
    int64_t i, index;
    char *reason;
} bad_event;

typedef struct slot {
    int64_t step;     /* -1: empty */
    int64_t n, left;  /* samples, and those not yet made */
    uint8_t *pixels;  /* [views, most, S, S, 3] */
    int64_t *index;   /* [most]; -1: nothing could be read for this place */
    bad_event *event; /* in the order of their making */
    int64_t events, events_room;
    bw_status status; /* of the sample with the lowest number that failed */
    int64_t failed;
    char message[512];
} slot;

typedef struct worker {
    bw_loader *loader;
    pthread_t thread;
    bw_image image;
    bw_augment_work work;
} worker;

struct bw_loader {
    bw_loader_config config;
    bw_augment_config augment;
    const bw_dataset *dataset;
    bw_sampler sampler;
    bw_bad_images bad; /* the consumer's alone */
    int views;
    int64_t most;         /* samples of the largest batch */
    int64_t sample_bytes; /* S * S * 3 */
    int64_t end_step;     /* no step from here on */
    float *floats;        /* [views, most, S, S, 3]: the batch that is handed out */
    int64_t *index;       /* [most] of it */
    int *labels;          /* [most] of it */
    bw_batch batch;
    double wait_s;
    bw_status status; /* once failed, for ever */
    char message[1024];

    pthread_mutex_t lock; /* guards all below, and slots but for pixels and index of a sample in the making */
    pthread_cond_t work_came, batch_done;
    bool synced; /* lock and conditions exist */
    bool stop;
    bool hopeless; /* a sample found nothing readable within the limit: its batch will fail, and the samples
                      not yet begun, all behind it, need not be made */
    int64_t step;  /* the consumer's: the next to be handed out */
    int64_t make_step, make_i; /* the next sample to be made */
    slot slots[AHEAD];         /* step s lies in slot s % AHEAD */
    worker *workers;           /* [started] are running */
    int started;
};

/* The authors' training transform of the linear probe, without colours. */
static const bw_view_config PROBE_VIEW = { .crop_scale = { 0.08, 1.0 },
                                           .crop_ratio = { 3.0 / 4.0, 4.0 / 3.0 },
                                           .interpolation = BW_INTERPOLATION_BILINEAR,
                                           .flip_prob = 0.5 };

static bw_status note_bad(bw_loader *loader, slot *s, int64_t i, int64_t index)
{
    bw_status st = BW_OK;
    bad_event *event = NULL, made = { .i = i, .index = index };
    BW_TRY(bw__strdup(&made.reason, bw_last_error()));
    pthread_mutex_lock(&loader->lock);
    if (s->events == s->events_room) {
        st = BW_ALLOC(&event, 2 * s->events_room + 8);
        if (st == BW_OK) {
            if (s->events) memcpy(event, s->event, (size_t)s->events * sizeof *event);
            bw__free(s->event);
            s->event = event;
            s->events_room = 2 * s->events_room + 8;
        }
    }
    if (st == BW_OK) {
        s->event[s->events++] = made;
        made.reason = NULL;
    }
    pthread_mutex_unlock(&loader->lock);
out:
    bw__free(made.reason);
    return st;
}

/* Reads the image for place `i`, or the next readable one of the epoch's order. s->index[i] is -1 where
 * there is none: for CENTER, which replaces nothing, and where more are bad than the limit allows, which
 * the consumer will find when it counts them. */
static bw_status read_image(worker *w, slot *s, int64_t i)
{
    bw_loader *loader = w->loader;
    const int64_t tries = loader->config.mode == BW_LOADER_CENTER ? 1 : loader->bad.limit + 1;
    for (int64_t further = 0; further < tries; further++) {
        const int64_t index = bw__sampler_index(&loader->sampler, s->step, i, further);
        bw_status st = bw_dataset_read(loader->dataset, index, &w->image);
        if (st == BW_OK) {
            s->index[i] = index;
            return BW_OK;
        }
        if (st == BW_EDATA) st = note_bad(loader, s, i, index);
        if (st != BW_OK) return st;
    }
    if (loader->config.mode != BW_LOADER_CENTER) {
        pthread_mutex_lock(&loader->lock);
        loader->hopeless = true;
        pthread_mutex_unlock(&loader->lock);
    }
    return BW_OK;
}

static bw_status make_sample(worker *w, slot *s, int64_t i)
{
    bw_loader *loader = w->loader;
    const bw_loader_config *c = &loader->config;
    bw_status st = read_image(w, s, i);
    if (st != BW_OK || s->index[i] < 0) return st;
    const uint64_t epoch = (uint64_t)(s->step / loader->sampler.steps_per_epoch);
    for (int v = 0; v < loader->views; v++) {
        uint8_t *dst = s->pixels + (v * loader->most + i) * loader->sample_bytes;
        if (c->mode == BW_LOADER_CENTER) {
            st = bw__eval_transform(dst, c->image_size, &w->image, c->keep_exact, &w->work);
            if (st == BW_OK && c->corruption)
                st = bw__corrupt(dst, c->image_size, c->corruption, c->severity, c->seed, s->index[i]);
        } else {
            const bw_view_config *view = c->mode == BW_LOADER_PROBE ? &PROBE_VIEW : &loader->augment.view[v];
            bw_rng rng = bw__rng(c->seed, BW_RNG_AUGMENT, epoch, (uint64_t)s->index[i], (uint32_t)v);
            bw_augment_params params;
            bw__augment_draw(&params, view, w->image.height, w->image.width, &rng);
            st = bw__augment_apply(dst, c->image_size, &w->image, &params, view, &w->work);
        }
        if (st != BW_OK) return st;
    }
    return BW_OK;
}

/* With the lock held: empties the slot of the next step, once the consumer has taken what it held. False:
 * nothing may be begun now. */
static bool open_step(bw_loader *loader)
{
    if (loader->make_step >= loader->end_step || loader->make_step >= loader->step + AHEAD) return false;
    slot *s = &loader->slots[loader->make_step % AHEAD];
    if (s->step == loader->make_step) return true;
    s->step = loader->make_step;
    s->n = s->left = bw__sampler_images(&loader->sampler, s->step);
    s->status = BW_OK;
    return true;
}

/* With the lock held: the next sample to be made, if there is one to be made now. */
static bool take_sample(bw_loader *loader, slot **s, int64_t *i)
{
    while (open_step(loader)) {
        *s = &loader->slots[loader->make_step % AHEAD];
        *i = loader->make_i;
        if (loader->make_i < (*s)->n) {
            loader->make_i++;
            return true;
        }
        if ((*s)->left == 0) pthread_cond_signal(&loader->batch_done); /* an empty slice is done at once */
        loader->make_step++;
        loader->make_i = 0;
    }
    return false;
}

static void finish_sample(bw_loader *loader, slot *s, int64_t i, bw_status st)
{
    if (st != BW_OK && (s->status == BW_OK || i < s->failed)) {
        s->status = st;
        s->failed = i;
        (void)snprintf(s->message, sizeof s->message, "%s", bw_last_error());
    }
    if (--s->left == 0) pthread_cond_signal(&loader->batch_done);
}

static void *work(void *arg)
{
    worker *w = arg;
    bw_loader *loader = w->loader;
    slot *s;
    int64_t i;
    bw__unbind_thread();
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        if (!take_sample(loader, &s, &i)) {
            pthread_cond_wait(&loader->work_came, &loader->lock);
            continue;
        }
        s->index[i] = -1;
        const bool needed = !loader->hopeless;
        pthread_mutex_unlock(&loader->lock);
        bw_status st = needed ? make_sample(w, s, i) : BW_OK;
        pthread_mutex_lock(&loader->lock);
        finish_sample(loader, s, i, st);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* Signals are the main thread's: a worker never takes one. */
static bw_status start_workers(bw_loader *loader)
{
    bw_status st = BW_OK;
    sigset_t all, before;
    BW_TRY(BW_ALLOC(&loader->workers, loader->config.threads));
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int t = 0; t < loader->config.threads && st == BW_OK; t++) {
        worker *w = &loader->workers[t];
        w->loader = loader;
        int error = pthread_create(&w->thread, NULL, work, w);
        if (error != 0)
            st = bw_fail(BW_ENOMEM, "cannot start loader thread %d of %d: %s; set fewer data.threads", t + 1,
                         loader->config.threads, strerror(error));
        else
            loader->started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
out:
    return st;
}

static bw_status alloc_batches(bw_loader *loader)
{
    bw_status st = BW_OK;
    const int64_t bytes = loader->views * loader->most * loader->sample_bytes;
    BW_TRY(BW_ALLOC(&loader->floats, bytes));
    BW_TRY(BW_ALLOC(&loader->index, loader->most));
    BW_TRY(BW_ALLOC(&loader->labels, loader->most));
    for (int a = 0; a < AHEAD; a++) {
        loader->slots[a].step = -1;
        BW_TRY(BW_ALLOC(&loader->slots[a].pixels, bytes));
        BW_TRY(BW_ALLOC(&loader->slots[a].index, loader->most));
    }
out:
    return st;
}

int64_t bw__loader_bytes(const bw_config *config)
{
    const int64_t size = config->data.image_size, values = BW_VIEWS * config->train.batch * size * size * 3;
    return values * (int64_t)(sizeof(float) + AHEAD);
}

bw_status bw__loader_create(bw_loader **out, const bw_dataset *dataset, const bw_loader_config *config)
{
    bw_status st = BW_OK;
    bw_loader *loader = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&loader, 1));
    loader->config = *config;
    loader->augment = *config->augment;
    loader->config.augment = &loader->augment;
    loader->dataset = dataset;
    BW_TRY(bw__sampler_init(&loader->sampler, bw_dataset_size(dataset), config));
    BW_TRY(bw__bad_images_init(&loader->bad, dataset, loader->sampler.used, config->max_bad));
    loader->views = config->mode == BW_LOADER_VIEWS ? BW_VIEWS : 1;
    loader->most = bw__sampler_images_most(&loader->sampler);
    loader->sample_bytes = config->image_size * config->image_size * 3;
    loader->step = loader->make_step = config->start_step;
    loader->end_step = config->end_step;
    if (config->end_step == 0)
        loader->end_step = config->mode == BW_LOADER_CENTER ? loader->sampler.steps_per_epoch : INT64_MAX;
    BW_TRY(alloc_batches(loader));
    (void)pthread_mutex_init(&loader->lock, NULL);
    (void)pthread_cond_init(&loader->work_came, NULL);
    (void)pthread_cond_init(&loader->batch_done, NULL);
    loader->synced = true;
    BW_TRY(start_workers(loader));
    *out = loader;
    loader = NULL;
out:
    bw__loader_free(loader);
    return st;
}

static void drop_events(slot *s)
{
    for (int64_t e = 0; e < s->events; e++)
        bw__free(s->event[e].reason);
    s->events = 0;
}

void bw__loader_free(bw_loader *loader)
{
    if (!loader) return;
    if (loader->synced) {
        pthread_mutex_lock(&loader->lock);
        loader->stop = true;
        pthread_cond_broadcast(&loader->work_came);
        pthread_mutex_unlock(&loader->lock);
        for (int t = 0; t < loader->started; t++) {
            (void)pthread_join(loader->workers[t].thread, NULL);
            bw_image_clear(&loader->workers[t].image);
            bw__augment_work_clear(&loader->workers[t].work);
        }
        (void)pthread_cond_destroy(&loader->batch_done);
        (void)pthread_cond_destroy(&loader->work_came);
        (void)pthread_mutex_destroy(&loader->lock);
    }
    for (int a = 0; a < AHEAD; a++) {
        drop_events(&loader->slots[a]);
        bw__free(loader->slots[a].event);
        bw__free(loader->slots[a].pixels);
        bw__free(loader->slots[a].index);
    }
    bw__free(loader->workers);
    bw__free(loader->floats);
    bw__free(loader->index);
    bw__free(loader->labels);
    bw__bad_images_clear(&loader->bad);
    bw__sampler_clear(&loader->sampler);
    bw__free(loader);
}

int64_t bw__loader_steps_per_epoch(const bw_loader *loader)
{
    return loader->sampler.steps_per_epoch;
}

int64_t bw__loader_bad(const bw_loader *loader)
{
    return loader->bad.count;
}

int64_t bw__loader_bad_limit(const bw_loader *loader)
{
    return loader->bad.limit;
}

double bw__loader_wait_s(const bw_loader *loader)
{
    return loader->wait_s;
}

static slot *wait_for_batch(bw_loader *loader)
{
    slot *s = &loader->slots[loader->step % AHEAD];
    const double start = bw__now_s();
    pthread_mutex_lock(&loader->lock);
    while (s->step != loader->step || s->left > 0)
        pthread_cond_wait(&loader->batch_done, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
    loader->wait_s += bw__now_s() - start;
    return s;
}

/* Counts the batch's unreadable images in the order of its places, which is the same for any number of
 * threads. Events of one place are in order already. */
static bw_status count_bad(bw_loader *loader, const slot *s)
{
    for (int64_t i = 0, found = 0; found < s->events; i++)
        for (int64_t e = 0; e < s->events; e++) {
            if (s->event[e].i != i) continue;
            found++;
            bw_status st = bw__bad_images_add(&loader->bad, s->event[e].index, s->event[e].reason);
            if (st != BW_OK) return st;
        }
    return BW_OK;
}

/* An image that this rank could not read, for all of them. */
typedef struct told_event {
    int64_t place, order, index;
    char reason[488];
} told_event;

static int by_place(const void *a, const void *b)
{
    const told_event *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Those not counted yet; returns how many there are. */
static int64_t tell_new(told_event *out, const bw_loader *loader, const slot *s)
{
    int64_t n = 0;
    for (int64_t e = 0; e < s->events; e++) {
        const bad_event *event = &s->event[e];
        if (bw__bad_images_has(&loader->bad, event->index)) continue;
        if (out) {
            out[n] = (told_event){ .place = bw__sampler_place(&loader->sampler, event->i),
                                   .order = e,
                                   .index = event->index };
            (void)snprintf(out[n].reason, sizeof out[n].reason, "%s", event->reason);
        }
        n++;
    }
    return n;
}

/* Counts what any rank has met, in the order of the whole batch, which is that of one rank. most: events of
 * the rank that has the most. */
static bw_status count_all_bad(bw_loader *loader, const slot *s, int64_t most)
{
    bw_status st = BW_OK;
    bw_comm *comm = loader->config.comm;
    told_event *own = NULL, *all = NULL;
    const int64_t n = most * bw_comm_size(comm);
    st = BW_ALLOC(&own, most);
    if (st == BW_OK) st = BW_ALLOC(&all, n);
    BW_TRY(bw__comm_agree(comm, st));
    for (int64_t e = tell_new(own, loader, s); e < most; e++)
        own[e].place = -1;
    BW_TRY(bw__comm_gather(comm, all, own, (size_t)most * sizeof *own));
    qsort(all, (size_t)n, sizeof *all, by_place);
    for (int64_t e = 0; e < n && st == BW_OK; e++)
        if (all[e].place >= 0) st = bw__bad_images_add(&loader->bad, all[e].index, all[e].reason);
    st = bw__comm_agree(comm, st); /* the same on all: one of them says it */
out:
    bw__free(own);
    bw__free(all);
    return st;
}

/* What became of the batch, on all ranks that have a part of it. */
static bw_status settle(bw_loader *loader, const slot *s)
{
    bw_comm *comm = loader->config.comm;
    bw_status st = s->status == BW_OK ? BW_OK : bw_fail(s->status, "%s", s->message);
    if (bw_comm_size(comm) == 1) return st == BW_OK ? count_bad(loader, s) : st;
    int64_t most = tell_new(NULL, loader, s);
    st = bw__comm_agree_on(comm, st, &most, 1);
    return st == BW_OK && most > 0 ? count_all_bad(loader, s, most) : st;
}

/* Bytes to floats, leaving out places that hold nothing. */
static void fill_batch(bw_loader *loader, const slot *s)
{
    bw_batch *b = &loader->batch;
    const int64_t sample = loader->sample_bytes;
    *b = (bw_batch){
        .images = loader->floats, .views = loader->views, .index = loader->index, .labels = loader->labels
    };
    b->step = s->step;
    b->epoch = s->step / loader->sampler.steps_per_epoch;
    for (int64_t i = 0; i < s->n; i++)
        b->n += s->index[i] >= 0;
    for (int v = 0; v < b->views; v++)
        for (int64_t i = 0, n = 0; i < s->n; i++) {
            if (s->index[i] < 0) continue;
            bw__normalise(b->images + (v * b->n + n) * sample, s->pixels + (v * loader->most + i) * sample,
                          sample / 3, loader->augment.mean, loader->augment.std);
            b->labels[n] = bw_dataset_label(loader->dataset, s->index[i]);
            b->index[n++] = s->index[i];
        }
}

static void release(bw_loader *loader, slot *s)
{
    drop_events(s);
    pthread_mutex_lock(&loader->lock);
    s->step = -1;
    loader->step++;
    pthread_cond_broadcast(&loader->work_came);
    pthread_mutex_unlock(&loader->lock);
}

static bw_status fail_for_ever(bw_loader *loader, bw_status st)
{
    loader->status = st;
    (void)snprintf(loader->message, sizeof loader->message, "%s", bw_last_error());
    return st;
}

bw_status bw__loader_next(bw_loader *loader, const bw_batch **out)
{
    *out = NULL;
    if (loader->status != BW_OK) return bw_fail(loader->status, "%s", loader->message);
    while (loader->step < loader->end_step) {
        slot *s = wait_for_batch(loader);
        bw_status st = settle(loader, s);
        if (st != BW_OK) return fail_for_ever(loader, st);
        fill_batch(loader, s);
        const bool wanted = loader->batch.n > 0 || loader->config.count > 0;
        release(loader, s);
        if (wanted) {
            *out = &loader->batch;
            return BW_OK;
        }
    }
    return BW_OK;
}
