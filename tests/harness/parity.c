#include "parity.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 32

static uint32_t hash(const char *name, int64_t i)
{
    uint32_t h = 2166136261u;
    for (const char *c = name; *c; c++)
        h = (h ^ (uint8_t)*c) * 16777619u;
    h += (uint32_t)i * 2654435761u;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ (h >> 16);
}

void parity_formula(float *dst, int64_t count, const char *name, double centre, double scale)
{
    for (int64_t i = 0; i < count; i++) {
        double u = (double)hash(name, i) / 4294967296.0 * 2.0 - 1.0;
        dst[i] = (float)(centre + scale * u);
    }
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static void fill_param(float *values, const bw_param *p)
{
    double centre = 0.0, scale = 0.1; /* biases and running mean */
    if (p->kind == BW_PARAM_CONV || p->kind == BW_PARAM_LINEAR) {
        scale = sqrt(6.0 / (double)(p->count / p->dim[0]));
    } else if (p->kind == BW_PARAM_BN_WEIGHT) {
        bool last = ends_with(p->name, "bn3.weight");
        centre = last ? 0.25 : 1.0;
        scale = last ? 0.05 : 0.2;
    } else if (p->kind == BW_PARAM_RUNNING_VAR) {
        centre = 1.0;
        scale = 0.3;
    }
    parity_formula(values + p->offset, p->count, p->name, centre, scale);
}

void parity_fill(bw_params *params)
{
    for (int i = 0; i < params->n; i++)
        fill_param(params->values, &params->items[i]);
}

bw_st_file *parity_open(const char *name)
{
    char relative[128];
    bw_st_file *file = NULL;
    (void)snprintf(relative, sizeof relative, "parity/%s.safetensors", name);
    CHECK_OK(bw__st_open(&file, fixture_path(relative)));
    return file;
}

static const bw_st_tensor *find(const bw_st_file *file, const char *key)
{
    const bw_st_tensor *t = bw__st_find(file, key);
    if (!t) fail_msg("the fixture has no '%s'", key);
    return t;
}

int64_t parity_count(const bw_st_file *file, const char *key)
{
    return (int64_t)(find(file, key)->bytes / sizeof(double));
}

void parity_whole(double *dst, int64_t count, const bw_st_file *file, const char *key)
{
    const bw_st_tensor *t = find(file, key);
    assert_true(t->dtype == BW_ST_F64 || t->dtype == BW_ST_I64);
    if (t->bytes != (size_t)count * sizeof *dst)
        fail_msg("'%s' has %zu bytes, want %lld numbers", key, t->bytes, (long long)count);
    memcpy(dst, t->data, t->bytes); /* the mapping may be unaligned */
    if (t->dtype == BW_ST_F64) return;
    for (int64_t i = 0; i < count; i++) {
        int64_t v;
        memcpy(&v, &dst[i], sizeof v);
        dst[i] = (double)v;
    }
}

static const char *metadata(const bw_st_file *file, const char *key)
{
    const char *value = bw__st_metadata(file, key);
    if (!value) fail_msg("the fixture has no metadata '%s'", key);
    return value;
}

/* "key=value key=value ..." */
static void apply(bw_config *config, const char *assignments)
{
    char text[256], *rest = NULL;
    (void)snprintf(text, sizeof text, "%s", assignments ? assignments : "");
    for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest))
        CHECK_OK(bw_config_set(config, p));
}

parity_setting parity_read_setting(const bw_st_file *file)
{
    parity_setting s = { .config = bw_config_default() };
    bw_config *c = &s.config;
    double v[5 + 3];
    const char *arch = metadata(file, "arch");

    parity_whole(v, 8, file, "setting");
    assert_true(strcmp(arch, "resnet18") == 0 || strcmp(arch, "resnet50") == 0);
    c->threads = 2;
    c->model.arch = strcmp(arch, "resnet18") == 0 ? BW_ARCH_RESNET18 : BW_ARCH_RESNET50;
    c->model.stem = strcmp(metadata(file, "stem"), "cifar") == 0 ? BW_STEM_CIFAR : BW_STEM_IMAGENET;
    c->model.width = (int64_t)v[0];
    c->data.image_size = s.image_size = (int64_t)v[1];
    c->train.batch = s.batch = (int64_t)v[2];
    c->head.dim = (int64_t)v[3];
    s.salt = (int64_t)v[4];
    c->projector.n = 3;
    for (int i = 0; i < 3; i++)
        c->projector.widths[i] = (int64_t)v[5 + i];
    c->loss.lambda = 0.0051;
    c->loss.scale = 0.024;
    c->noise.kind = BW_NOISE_NONE;
    if (strcmp(metadata(file, "order"), "end-to-end") == 0) {
        c->train.order = BW_ORDER_END_TO_END;
        c->head.pool = BW_POOL_GSP;
    }
    apply(c, bw__st_metadata(file, "set"));
    return s;
}

void parity_views(float *views, const parity_setting *setting)
{
    int64_t count = setting->batch * setting->image_size * setting->image_size * 3;
    for (int v = 0; v < BW_VIEWS; v++) {
        char name[32];
        (void)snprintf(name, sizeof name, "view%d.%d", v + 1, (int)setting->salt);
        parity_formula(views + v * count, count, name, 0.0, 1.0);
    }
}

static double note(parity_worst *worst, const char *key, double error)
{
    worst->compared++;
    /* Written so that NaN counts as worse than anything. */
    if (worst->compared == 1 || !(error <= worst->error)) {
        worst->error = error;
        (void)snprintf(worst->key, sizeof worst->key, "%s", key);
    }
    return error;
}

double parity_compare(parity_worst *worst, const bw_st_file *file, const char *key, const float *got,
                      int64_t count)
{
    int64_t n = count < SAMPLES ? count : SAMPLES;
    double want[1 + SAMPLES], squares = 0.0, difference = 0.0;

    parity_whole(want, 1 + n, file, key);
    for (int64_t i = 0; i < count; i++)
        squares += (double)got[i] * (double)got[i];
    for (int64_t j = 0; j < n; j++) {
        int64_t i = count > SAMPLES ? (int64_t)hash(key, j) % count : j;
        double d = (double)got[i] - want[1 + j];
        difference += d * d;
    }
    double of_norm = fabs(sqrt(squares) - want[0]) / want[0];
    double of_samples = sqrt(difference) / (want[0] * sqrt((double)n / (double)count));
    return note(worst, key, of_samples > of_norm || isnan(of_samples) ? of_samples : of_norm);
}

double parity_compare_whole(parity_worst *worst, const bw_st_file *file, const char *key, const double *got,
                            int64_t count)
{
    double difference = 0.0, squares = 0.0;
    double *want = malloc((size_t)count * sizeof *want);
    assert_non_null(want);
    parity_whole(want, count, file, key);
    for (int64_t i = 0; i < count; i++) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        squares += want[i] * want[i];
    }
    free(want);
    return note(worst, key, sqrt(difference) / (sqrt(squares) + 1e-300));
}

double parity_compare_loss(parity_worst *worst, const bw_st_file *file, const char *key, double on,
                           double off, double total)
{
    const double got[3] = { on, off, total };
    double want[3], error = 0.0;
    parity_whole(want, 3, file, key);
    for (int i = 0; i < 3; i++) {
        double e = fabs(got[i] - want[i]) / fabs(want[i]);
        if (!(e <= error)) error = e;
    }
    return note(worst, key, error);
}

void parity_report_(const char *file, int line, const parity_worst *worst, double allowed)
{
    print_message("parity  %-34s %3d compared, worst relative error %.1e (%s), allowed %.0e\n", worst->what,
                  worst->compared, worst->error, worst->key, allowed);
    if (worst->compared > 0 && worst->error <= allowed) return;
    _fail(file, line);
}
