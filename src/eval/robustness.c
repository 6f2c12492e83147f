#include "base/machine.h"
#include "base/memory.h"
#include "data/corrupted.h"
#include "eval/cached_probe.h"
#include "eval/features.h"
#include "data/splits.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TARGETS = 2 * (BW_MAX_BLOCKS + 1) };

bw_robustness_options bw_robustness_options_default(void)
{
    return (bw_robustness_options){ .block = -1, .head = true };
}

/* --- which corruptions --- */

typedef struct source {
    char name[sizeof((bw_corruption_result *)0)->name];
    const bw_corruption *made; /* here, or NULL */
    int index;                 /* in the folder */
} source;

typedef struct task {
    const bw_robustness_options *options;
    const bw_dataset *train, *test;
    bw_corrupted *folder; /* NULL: made here */
    source *sources;
    int n;
    int threads;
    bw_progress progress;
} task;

static const char *name_at(const task *t, int i)
{
    if (t->folder) return i < bw__corrupted_count(t->folder) ? bw__corrupted_name(t->folder, i) : NULL;
    const bw_corruption *c = bw__corruption_at(i);
    return c ? c->name : NULL;
}

static bw_status add_source(task *t, int index)
{
    source *s = &t->sources[t->n++];
    const int n = snprintf(s->name, sizeof s->name, "%s", name_at(t, index));
    if (n >= (int)sizeof s->name)
        return bw_fail(BW_EDATA, "%s: the corruption's name is longer than %zu bytes", name_at(t, index),
                       sizeof s->name - 1);
    s->index = index;
    if (t->folder) return bw__corrupted_check(t->folder, index);
    s->made = bw__corruption_at(index);
    return BW_OK;
}

static bw_status fail_unknown(const task *t, const char *name, size_t length)
{
    char all[512] = "";
    for (int i = 0; name_at(t, i); i++) {
        const size_t n = strlen(all);
        (void)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", name_at(t, i));
    }
    if (t->folder)
        return bw_fail(BW_EDATA, "%s: no corruption '%.*s' there; there are %s", t->options->corrupted,
                       (int)length, name, all);
    return bw_fail(BW_EINVAL, "corruption '%.*s' cannot be made here; there are %s", (int)length, name, all);
}

/* Those of options->corruptions in its order, or all. */
static bw_status choose_sources(task *t)
{
    bw_status st = BW_OK;
    const char *wish = t->options->corruptions;
    int there = 0, room = 1;
    while (name_at(t, there))
        there++;
    for (const char *p = wish; p && *p; p++)
        room += *p == ',';
    BW_TRY(BW_ALLOC(&t->sources, wish ? room : there));
    if (!wish)
        for (int i = 0; i < there; i++)
            BW_TRY(add_source(t, i));
    for (const char *p = wish; p; p = *p ? p + 1 : NULL) {
        const size_t length = strcspn(p, ",");
        int i = 0;
        while (i < there && !(strlen(name_at(t, i)) == length && strncmp(name_at(t, i), p, length) == 0))
            i++;
        if (i == there) BW_TRY(fail_unknown(t, p, length));
        BW_TRY(add_source(t, i));
        p += length;
    }
out:
    return st;
}

/* --- one model --- */

typedef struct scores {
    bw_target_list targets;
    bw_linear *classifier[MAX_TARGETS];
    bw_cached_result fit[MAX_TARGETS];
    double clean[MAX_TARGETS]; /* top-1, per cent */
    double *top1[MAX_TARGETS]; /* [task.n, BW_SEVERITIES] */
    int64_t images;            /* test images of the last pass */
    int64_t image_size;
} scores;

static void clear_scores(scores *s)
{
    for (int i = 0; i < MAX_TARGETS; i++) {
        bw__linear_free(s->classifier[i]);
        bw__free(s->top1[i]);
    }
    *s = (scores){ 0 };
}

static bw_status fit_probes(scores *s, const task *t, const bw_network *network, const bw_image_pass *pass)
{
    bw_status st = BW_OK;
    bw_feature_set set = { 0 };
    bw_progress p = t->progress;
    const bw_cached_probe probe = { bw_dataset_classes(t->train), t->options->epochs, t->options->seed,
                                    t->threads };
    p.what = "features of the training images";
    BW_TRY(bw__feature_set_fill(&set, network, t->train, &s->targets, pass, true, &p));
    p.what = "linear probe";
    p.share = 1.0 / s->targets.n;
    for (int i = 0; i < s->targets.n; i++) {
        const bw_columns columns = bw__feature_columns(&set.arrays, s->targets.item[i]);
        const bw_selection rows = { &columns, set.label, NULL, set.n };
        p.first = i * p.share;
        BW_TRY(bw__cached_probe_fit(&s->classifier[i], &s->fit[i], &rows, &probe, &p));
    }
out:
    bw__feature_set_clear(&set);
    return st;
}

/* top1 [targets] of the images seen through the pass. */
static bw_status score_images(double *top1, scores *s, const bw_network *network, const bw_dataset *images,
                              const bw_image_pass *pass, const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_feature_set set = { 0 };
    double top5;
    BW_TRY(bw__feature_set_fill(&set, network, images, &s->targets, pass, true, progress));
    if (set.n < 1) BW_TRY(bw_fail(BW_EDATA, "no labelled test image"));
    for (int i = 0; i < s->targets.n; i++) {
        const bw_columns columns = bw__feature_columns(&set.arrays, s->targets.item[i]);
        const bw_selection rows = { &columns, set.label, NULL, set.n };
        bw__linear_score(&top1[i], &top5, s->classifier[i], &rows);
    }
    s->images = set.n;
out:
    bw__feature_set_clear(&set);
    return st;
}

/* The images of a folder, numbered as the training images are. */
static bw_status open_corrupted(bw_dataset **out, const task *t, const source *from, int severity)
{
    bw_status st = BW_OK;
    BW_TRY(bw__corrupted_images(out, t->folder, from->index, severity));
    if (!bw__corrupted_has_numbers(t->folder))
        BW_TRY(bw_dataset_match_classes(*out, t->train));
    else if (bw_dataset_classes(*out) > bw_dataset_classes(t->train))
        BW_TRY(bw_fail(BW_EDATA, "labels.npy has class %d, but the training images have %d classes, from 0",
                       bw_dataset_classes(*out) - 1, bw_dataset_classes(t->train)));
out:
    if (st != BW_OK) {
        bw_dataset_free(*out);
        *out = NULL;
    }
    return st;
}

static bw_status score_corruption(double *top1, scores *s, const task *t, const bw_network *network,
                                  int which, int severity, const bw_image_pass *clean,
                                  const bw_progress *progress)
{
    bw_status st = BW_OK;
    const source *from = &t->sources[which];
    bw_dataset *opened = NULL;
    bw_image_pass pass = *clean;
    if (from->made) {
        pass.corruption = from->made;
        pass.severity = severity;
    } else {
        /* Published images went through the transform before they were corrupted. */
        pass.keep_exact = true;
        BW_TRY(open_corrupted(&opened, t, from, severity));
    }
    BW_TRY(score_images(top1, s, network, opened ? opened : t->test, &pass, progress));
out:
    bw_dataset_free(opened);
    return st == BW_EDATA ? bw_fail_prefix(st, "%s, severity %d", from->name, severity) : st;
}

static bw_status measure(scores *s, const task *t, const bw_network *network)
{
    bw_status st = BW_OK;
    double top1[MAX_TARGETS];
    const bw_robustness_options *o = t->options;
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), o->max_images, o->seed, t->threads);
    bw_progress p = t->progress;
    s->image_size = pass.image_size;
    BW_TRY(fit_probes(s, t, network, &pass));
    pass.max_images = o->max_test_images;
    for (int i = 0; i < s->targets.n; i++)
        BW_TRY(BW_ALLOC(&s->top1[i], t->n * BW_SEVERITIES));
    p.what = "test images, clean and corrupted";
    p.share = 1.0 / (1 + t->n * BW_SEVERITIES);
    BW_TRY(score_images(s->clean, s, network, t->test, &pass, &p));
    for (int c = 0; c < t->n * BW_SEVERITIES; c++) {
        p.first = (1 + c) * p.share;
        BW_TRY(score_corruption(top1, s, t, network, c / BW_SEVERITIES, c % BW_SEVERITIES + 1, &pass, &p));
        for (int i = 0; i < s->targets.n; i++)
            s->top1[i][c] = top1[i];
    }
out:
    return st;
}

/* --- results --- */

/* The sum over severities of 100 - top1, each lessened by `clean`. */
static double sum_of_errors(const double *top1, double clean)
{
    double sum = 0;
    for (int s = 0; s < BW_SEVERITIES; s++)
        sum += 100.0 - top1[s] - clean;
    return sum;
}

/* A share of errors that are none says nothing. */
static double ratio(double errors, double baseline)
{
    return baseline > 0 ? 100.0 * errors / baseline : (double)NAN;
}

static void compare(bw_corruption_result *c, const double *top1, double clean, const double *base_top1,
                    double base_clean)
{
    memcpy(c->top1, top1, sizeof c->top1);
    c->mean_error = sum_of_errors(top1, 0) / BW_SEVERITIES;
    c->ce = c->relative_ce = (double)NAN;
    if (!base_top1) return;
    c->ce = ratio(sum_of_errors(top1, 0), sum_of_errors(base_top1, 0));
    c->relative_ce = ratio(sum_of_errors(top1, 100.0 - clean), sum_of_errors(base_top1, 100.0 - base_clean));
}

/* The baseline's target for a feature: the same, or the only one it has. */
static int baseline_target(const scores *baseline, bw_feature feature)
{
    for (int i = 0; i < baseline->targets.n; i++)
        if (baseline->targets.item[i].feature == feature) return i;
    return 0;
}

static void write_protocol(bw_robustness_result *r, const task *t, const scores *s, int target,
                           const scores *baseline)
{
    char probe[256];
    const bool small = s->image_size <= BW_CORRUPT_SMALL_IMAGE;
    bw__cached_protocol(probe, sizeof probe, &s->fit[target], s->image_size);
    (void)snprintf(
        r->protocol, sizeof r->protocol,
        "robustness: probe fitted on clean images (%s); %d corruptions x %d severities, %s, %lld test "
        "images each, %s",
        probe, t->n, BW_SEVERITIES,
        t->folder ? "read from a folder"
        : small   ? "made after the transform, CIFAR-10-C's severities"
                  : "made after the transform, ImageNet-C's severities",
        (long long)s->images, baseline ? "mCE relative to the baseline model" : "mean error not normalised");
}

static void fill_result(bw_robustness_result *r, const task *t, const scores *s, int target,
                        const scores *baseline)
{
    const bw_feature feature = s->targets.item[target].feature;
    const int b = baseline ? baseline_target(baseline, feature) : 0;
    r->block = s->targets.item[target].block;
    r->feature = feature;
    r->clean_top1 = s->clean[target];
    r->n = t->n;
    for (int c = 0; c < t->n; c++) {
        bw_corruption_result *one = &r->corruption[c];
        memcpy(one->name, t->sources[c].name, sizeof one->name);
        const double *base = baseline ? baseline->top1[b] + (ptrdiff_t)c * BW_SEVERITIES : NULL;
        compare(one, s->top1[target] + (ptrdiff_t)c * BW_SEVERITIES, s->clean[target], base,
                baseline ? baseline->clean[b] : 0);
        r->mean_error += one->mean_error / t->n;
        r->mce += one->ce / t->n;
        r->relative_mce += one->relative_ce / t->n;
    }
    write_protocol(r, t, s, target, baseline);
}

static bw_status make_results(bw_robustness_result **out, const task *t, const scores *s,
                              const scores *baseline)
{
    const size_t n = (size_t)s->targets.n, each = (size_t)t->n * sizeof(bw_corruption_result);
    bw_robustness_result *r = NULL;
    bw_status st = bw__alloc((void **)&r, n * (sizeof *r + each));
    if (st != BW_OK) return st;
    bw_corruption_result *rest = (void *)(r + n);
    for (int i = 0; i < s->targets.n; i++, rest += t->n) {
        r[i].corruption = rest;
        fill_result(&r[i], t, s, i, baseline);
    }
    *out = r;
    return BW_OK;
}

static bw_status measure_baseline(scores *s, task *t, const bw_network *baseline, const scores *model)
{
    bw_status st = BW_OK;
    const bw_robustness_options *o = t->options;
    const bool head = o->head && bw_network_has_heads(baseline);
    BW_TRY(
        bw__targets(&s->targets, baseline, bw_network_blocks(baseline) - 1, head, o->trunk || !head, false));
    if (bw_network_config(baseline)->data.image_size != model->image_size)
        bw_log(BW_LOG_WARN,
               "the baseline model sees images of %lld px, the model %lld px: their corruptions are not the "
               "same",
               (long long)bw_network_config(baseline)->data.image_size, (long long)model->image_size);
    bw_log(BW_LOG_INFO, "now the same for the baseline model");
    BW_TRY(measure(s, t, baseline));
out:
    return st;
}

bw_status bw_robustness(bw_robustness_result **out, int *out_n, const bw_network *network,
                        const bw_network *baseline, const bw_dataset *train, const bw_dataset *test,
                        const bw_robustness_options *options, bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    scores *model = NULL, *base = NULL;
    task t = { .options = options,
               .train = train,
               .test = test,
               .threads = options->threads > 0 ? options->threads : bw__usable_cores(),
               .progress = { .fn = progress, .user = user } };

    *out = NULL;
    *out_n = 0;
    /* Everything that can be refused is refused before the first image is read. */
    if (options->epochs < 0)
        BW_TRY(bw_fail(BW_EINVAL, "robustness: %d epochs; give 1 or more", options->epochs));
    BW_TRY(BW_ALLOC(&model, 1));
    BW_TRY(BW_ALLOC(&base, 1));
    BW_TRY(bw__check_splits(train, test, "robustness"));
    BW_TRY(bw__targets(&model->targets, network, options->block, options->head, options->trunk, false));
    if (options->corrupted) BW_TRY(bw__corrupted_open(&t.folder, options->corrupted));
    BW_TRY(choose_sources(&t));
    BW_TRY(measure(model, &t, network));
    if (baseline) BW_TRY(measure_baseline(base, &t, baseline, model));
    BW_TRY(make_results(out, &t, model, baseline ? base : NULL));
    *out_n = model->targets.n;
out:
    if (model) clear_scores(model);
    if (base) clear_scores(base);
    bw__free(model);
    bw__free(base);
    bw__free(t.sources);
    bw__corrupted_free(t.folder);
    return st;
}
