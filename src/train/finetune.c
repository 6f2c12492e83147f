#include "base/linalg.h"
#include "base/machine.h"
#include "base/memory.h"
#include "base/place.h"
#include "base/rng.h"
#include "data/loader.h"
#include "data/splits.h"
#include "data/subset.h"
#include "model/network_internal.h"
#include "train/trainer_internal.h"
#include <stdio.h>
#include <string.h>

/* github.com/facebookresearch/barlowtwins, README.md ("Semi-supervised Learning", 1 % of the labels) and
 * evaluate.py: 20 epochs of batch 256, rates 0.002 and 0.5, no weight decay, momentum 0.9, weights of the
 * classifier N(0, 0.01). They publish no other values; larger shares take the same here. */
enum { EPOCHS = 20, BATCH = 256 };
static const double LR_TRUNK = 0.002, LR_CLASSIFIER = 0.5, MOMENTUM = 0.9;
static const float CLASSIFIER_STD = 0.01f;
/* Ours: small subsets get smaller batches, or 20 epochs would be a handful of steps. */
enum { LEAST_STEPS = 16, LEAST_BATCH = 16 };
/* Images seen at once when scoring. */
enum { SCORE_BATCH = 32 };

bw_finetune_options bw_finetune_options_default(void)
{
    return (bw_finetune_options){ .label_fraction = 1,
                                  .head = true,
                                  .epochs = EPOCHS,
                                  .lr_trunk = LR_TRUNK,
                                  .lr_classifier = LR_CLASSIFIER };
}

typedef struct finetuning {
    const bw_finetune_options *options;
    const bw_network *source;
    const bw_dataset *train, *test;
    bw_progress_fn progress;
    void *user;
    int threads, classes;
    bw_image_list list;
    bw_dataset *subset;
    bw_network *network; /* the copy that is trained */
    bw_finetune_result *out;
} finetuning;

static bw_status report(const finetuning *f, const char *what, double done)
{
    if (!f->progress || f->progress(f->user, what, done) == 0) return BW_OK;
    return bw_fail(BW_EINTERRUPTED, "interrupted: %s, %.0f %% done", what, 100.0 * done);
}

static bw_status check_options(const finetuning *f)
{
    const bw_finetune_options *o = f->options;
    if (o->epochs < 1) return bw_fail(BW_EINVAL, "fine-tuning: %d epochs; give 1 or more", o->epochs);
    if (o->batch < 0 || o->batch == 1)
        return bw_fail(BW_EINVAL, "fine-tuning: batch %lld; batch norm needs 2 or more", (long long)o->batch);
    if (!(o->lr_trunk >= 0 && o->lr_classifier > 0 && o->weight_decay >= 0))
        return bw_fail(
            BW_EINVAL,
            "fine-tuning: rates %g (trunk) and %g (classifier), weight decay %g; the classifier's rate "
            "must be above 0, the others at least 0",
            o->lr_trunk, o->lr_classifier, o->weight_decay);
    if (o->head && !bw_network_has_heads(f->source))
        return bw_fail(BW_EINVAL,
                       "the model has no heads (heads.safetensors does not lie beside it): choose the "
                       "trunk feature");
    return bw__check_splits(f->train, f->test, "fine-tuning");
}

/* --- images --- */

static int64_t labelled(const bw_dataset *dataset)
{
    int64_t n = 0;
    for (int64_t i = 0; i < bw_dataset_size(dataset); i++)
        n += bw_dataset_label(dataset, i) >= 0;
    return n;
}

static int64_t choose_batch(int64_t wish, int64_t images)
{
    int64_t batch = wish > 0 ? wish : BATCH;
    if (wish == 0)
        while (batch > LEAST_BATCH && batch * LEAST_STEPS > images)
            batch /= 2;
    return batch < images ? batch : images;
}

static bw_status choose_images(finetuning *f)
{
    bw_status st = BW_OK;
    const bw_finetune_options *o = f->options;
    bw_finetune_result *out = f->out;
    if (o->label_list)
        BW_TRY(bw__label_list_read(&f->list, f->train, o->label_list));
    else
        BW_TRY(bw__label_fraction(&f->list, f->train, o->label_fraction, o->seed));
    if (f->list.n < 2)
        BW_TRY(bw_fail(BW_EDATA, "fine-tuning: one image with a label is too few; batch norm needs two"));
    if (o->write_list) BW_TRY(bw__label_list_write(o->write_list, f->train, &f->list));
    BW_TRY(bw__dataset_subset(&f->subset, f->train, f->list.index, f->list.n));
    out->images = f->list.n;
    out->label_fraction = o->label_list ? (double)f->list.n / (double)labelled(f->train) : o->label_fraction;
    out->batch = choose_batch(o->batch, f->list.n);
    if (o->batch > out->batch)
        bw_log(BW_LOG_INFO, "batch %lld is larger than the %lld images with labels: %lld it is",
               (long long)o->batch, (long long)f->list.n, (long long)out->batch);
    out->epochs = o->epochs;
    out->steps = out->epochs * (f->list.n / out->batch);
out:
    return st;
}

/* --- the network --- */

static bw_view_config crop_and_flip(void)
{
    return (bw_view_config){ .crop_scale = { 0.08, 1.0 },
                             .crop_ratio = { 3.0 / 4.0, 4.0 / 3.0 },
                             .interpolation = BW_INTERPOLATION_BILINEAR,
                             .flip_prob = 0.5 };
}

/* End to end, cross-entropy, with the head of the source's last block. What a run's config file could not say
 * (views without blur have no range for it) is set once the rest is resolved. */
static bw_status make_config(bw_config *c, const finetuning *f)
{
    const bw_finetune_options *o = f->options;
    const bw_config *theirs = bw_network_config(f->source);
    *c = bw_config_default();
    c->seed = o->seed;
    c->threads = c->data.threads = f->threads;
    c->model = theirs->model;
    c->data.image_size = theirs->data.image_size;
    c->data.max_bad = theirs->data.max_bad;
    c->train.order = BW_ORDER_END_TO_END;
    c->train.batch = f->out->batch;
    c->train.epochs = f->out->epochs;
    c->loss.name = BW_LOSS_CROSS_ENTROPY;
    c->loss.classes = f->classes;
    bw_status st = bw_config_resolve(c);
    if (st != BW_OK) return st;
    if (o->head) c->head = bw_config_block(theirs, bw_network_blocks(f->source) - 1).head;
    c->health.every = 0;
    c->augment = theirs->augment;
    c->augment.view[0] = c->augment.view[1] = crop_and_flip();
    c->optimizer = (bw_optimizer_config){ .name = BW_OPTIMIZER_SGD,
                                          .lr = o->lr_classifier * 256.0 / (double)f->out->batch,
                                          .momentum = MOMENTUM,
                                          .weight_decay = o->weight_decay,
                                          .schedule = BW_SCHEDULE_COSINE }; /* which takes lr * batch / 256 */
    return BW_OK;
}

static const float *find_value(const bw_network *network, const bw_param *like)
{
    for (int k = 0; k < network->blocks; k++) {
        const bw_param *p = bw__params_find(&network->params[k], like->name);
        if (p && p->count == like->count) return network->params[k].values + p->offset;
    }
    return NULL;
}

/* Trunk and head take the pretrained values by name, the classifier fresh ones. */
static bw_status set_values(finetuning *f)
{
    bw_params *params = &f->network->params[0];
    BW_ASSERT(f->network->blocks == 1);
    params->batches_tracked = f->source->params[0].batches_tracked;
    for (int i = 0; i < params->n; i++) {
        const bw_param *p = &params->items[i];
        float *value = params->values + p->offset;
        if (p->part != BW_PART_PROJECTOR) {
            const float *from = find_value(f->source, p);
            if (!from) return bw_fail(BW_ESHAPE, "the model has no %s of the right shape", p->name);
            memcpy(value, from, (size_t)p->count * sizeof *value);
        } else if (p->kind == BW_PARAM_LINEAR) {
            bw_rng rng = bw__rng(f->options->seed, BW_RNG_PROBE, 0, 0, 1);
            bw__rng_normal_f32(&rng, value, p->count);
            for (int64_t j = 0; j < p->count; j++)
                value[j] *= CLASSIFIER_STD;
        } else {
            memset(value, 0, (size_t)p->count * sizeof *value);
        }
    }
    return BW_OK;
}

/* --- training --- */

static bw_status fit(finetuning *f)
{
    bw_status st = BW_OK;
    bw_trainer *trainer = NULL;
    bw_loader *loader = NULL;
    const bw_batch *batch = NULL;
    const bw_config *c = &f->network->config;
    const double pretrained = f->options->lr_trunk / f->options->lr_classifier;
    const double rate[] = {
        [BW_PART_TRUNK] = pretrained, [BW_PART_HEAD] = pretrained, [BW_PART_PROJECTOR] = 1.0
    };
    bw_step step;
    const bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                      .image_size = c->data.image_size,
                                      .augment = &c->augment,
                                      .batch = c->train.batch,
                                      .seed = c->seed,
                                      .threads = c->data.threads,
                                      .max_bad = c->data.max_bad,
                                      .end_step = f->out->steps };
    BW_TRY(bw__loader_create(&loader, f->subset, &config));
    BW_TRY(bw_trainer_create(&trainer, f->network, bw__loader_steps_per_epoch(loader)));
    trainer->part_rate = rate;
    for (int64_t done = 0; done < f->out->steps; done++) {
        BW_TRY(report(f, "fine-tuning", (double)done / (double)f->out->steps));
        BW_TRY(bw__loader_next(loader, &batch));
        BW_ASSERT(batch);
        BW_TRY(bw_trainer_step(trainer, &step, batch->images, batch->labels));
        f->out->loss = step.loss[0];
    }
    st = report(f, "fine-tuning", 1.0);
out:
    bw_trainer_free(trainer);
    bw__loader_free(loader);
    return st;
}

/* --- scoring --- */

typedef struct scoring {
    bw_network *view; /* of the trained network, by blocks */
    bw_extractor *extractor;
    bw_loader *loader;
    const float *weight, *bias; /* [classes, dim], [classes] */
    float *features, *logits;   /* [SCORE_BATCH, dim], [SCORE_BATCH, classes] */
    int64_t dim, images, hits, hits5;
} scoring;

static void find_classifier(scoring *s, const bw_network *network)
{
    const bw_params *params = &network->params[0];
    for (int i = 0; i < params->n; i++) {
        if (params->items[i].part != BW_PART_PROJECTOR) continue;
        if (params->items[i].kind == BW_PARAM_LINEAR) s->weight = params->values + params->items[i].offset;
        if (params->items[i].kind == BW_PARAM_BIAS) s->bias = params->values + params->items[i].offset;
    }
}

static bw_status score_batch(scoring *s, const finetuning *f, const bw_batch *batch)
{
    float *head[BW_MAX_BLOCKS] = { NULL };
    head[s->view->blocks - 1] = s->features;
    bw_status st = bw_extractor_run(s->extractor, head, NULL, batch->images, batch->n);
    if (st != BW_OK) return st;
    const bw_matrix x = { s->features, s->dim, false }, w = { s->weight, s->dim, true };
    bw__gemm_f32(s->logits, f->classes, x, w, batch->n, f->classes, s->dim, 1.0f, 0.0f);
    for (int64_t i = 0; i < batch->n; i++) {
        float *z = s->logits + i * f->classes;
        if (batch->labels[i] < 0) continue;
        for (int j = 0; j < f->classes; j++)
            z[j] += s->bias[j];
        const int place = bw__place_of(z, f->classes, batch->labels[i]);
        s->images++;
        s->hits += place == 0;
        s->hits5 += place < 5 && place < f->classes;
    }
    return BW_OK;
}

static bw_status score_all(scoring *s, const finetuning *f)
{
    bw_status st = BW_OK;
    const bw_batch *batch = NULL;
    const int64_t n = bw_dataset_size(f->test), most = f->options->max_test_images;
    const double total = (double)(most > 0 && most < n ? most : n);
    for (int64_t seen = 0;;) {
        BW_TRY(report(f, "test images", (double)seen / total));
        BW_TRY(bw__loader_next(s->loader, &batch));
        if (!batch) break;
        BW_TRY(score_batch(s, f, batch));
        seen += batch->n;
    }
    if (s->images == 0) BW_TRY(bw_fail(BW_EDATA, "fine-tuning: no labelled test image"));
    f->out->top1 = 100.0 * (double)s->hits / (double)s->images;
    f->out->top5 = 100.0 * (double)s->hits5 / (double)s->images;
    st = report(f, "test images", 1.0);
out:
    return st;
}

static bw_status score(const finetuning *f)
{
    bw_status st = BW_OK;
    scoring s = { 0 };
    const bw_config *c = &f->network->config;
    const bw_loader_config config = { .mode = BW_LOADER_CENTER,
                                      .image_size = c->data.image_size,
                                      .keep_exact = c->model.stem == BW_STEM_CIFAR,
                                      .augment = &c->augment,
                                      .batch = SCORE_BATCH,
                                      .images = f->options->max_test_images,
                                      .seed = c->seed,
                                      .threads = c->data.threads,
                                      .max_bad = c->data.max_bad };
    BW_TRY(bw__network_view(&s.view, f->network));
    find_classifier(&s, f->network);
    s.dim = bw_network_feature_dim(s.view, s.view->blocks - 1, BW_FEATURE_HEAD);
    BW_TRY(BW_ALLOC(&s.features, SCORE_BATCH * s.dim));
    BW_TRY(BW_ALLOC(&s.logits, SCORE_BATCH * (int64_t)f->classes));
    BW_TRY(bw_extractor_create(&s.extractor, s.view, SCORE_BATCH, c->data.image_size));
    BW_TRY(bw__loader_create(&s.loader, f->test, &config));
    BW_TRY(score_all(&s, f));
out:
    bw__loader_free(s.loader);
    bw_extractor_free(s.extractor);
    bw_network_free(s.view);
    bw__free(s.features);
    bw__free(s.logits);
    return st;
}

static void write_protocol(const finetuning *f)
{
    const bw_finetune_options *o = f->options;
    bw_finetune_result *r = f->out;
    (void)snprintf(
        r->protocol, sizeof r->protocol,
        "fine-tuning: %lld labelled images (%s), classifier on the last block's %s, whole network end to "
        "end, cross-entropy, random resized crop and flip %lld px, two crops of every image a step, SGD "
        "momentum %g, batch %lld, %d epochs, %lld steps, lr %g (trunk and head) and %g (classifier), cosine "
        "by step to 0, wd %g, seed %llu, last epoch",
        (long long)r->images, o->label_list ? "a list" : "a share of each class, from the seed",
        o->head ? "head" : "trunk", (long long)f->network->config.data.image_size, MOMENTUM,
        (long long)r->batch, r->epochs, (long long)r->steps, o->lr_trunk, o->lr_classifier, o->weight_decay,
        (unsigned long long)o->seed);
}

bw_status bw_finetune(bw_finetune_result *out, const bw_network *network, const bw_dataset *train,
                      const bw_dataset *test, const bw_finetune_options *options, bw_progress_fn progress,
                      void *user)
{
    bw_status st = BW_OK;
    bw_config config;
    finetuning f = { .options = options,
                     .source = network,
                     .train = train,
                     .test = test,
                     .progress = progress,
                     .user = user,
                     .threads = options->threads > 0 ? options->threads : bw__usable_cores(),
                     .classes = bw_dataset_classes(train),
                     .out = out };

    *out = (bw_finetune_result){ 0 };
    BW_TRY(check_options(&f));
    BW_TRY(choose_images(&f));
    BW_TRY(make_config(&config, &f));
    BW_TRY(bw__network_build(&f.network, &config, true));
    BW_TRY(set_values(&f));
    BW_TRY(fit(&f));
    BW_TRY(score(&f));
    write_protocol(&f);
out:
    bw_network_free(f.network);
    bw_dataset_free(f.subset);
    bw__image_list_clear(&f.list);
    return st;
}
