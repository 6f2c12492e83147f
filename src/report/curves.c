#include "report/curves.h"
#include "base/memory.h"
#include "train/metrics.h"
#include <math.h>
#include <string.h>

/* Points of a curve before neighbours are joined: as many as a wide screen has pixels; fewer where many
 * blocks would make a page of many megabytes. */
enum { MOST_POINTS = 1024, POINTS_OF_MANY = 256, MANY_BLOCKS = 12 };
enum { NAME_ROOM = 24, MOST_NAMES = 4 + BW_MAX_TERMS, RUN_NAMES = 3 };

/* Curves over the same steps. Value j of the run is channel j, value j of block k channel RUN_NAMES + k *
 * MOST_NAMES + j. */
typedef struct curve_set {
    int64_t n, per_point; /* measurements in all, and of one point */
    int points, most;
    int64_t step[MOST_POINTS];
    int names, run_names;
    char name[MOST_NAMES][NAME_ROOM];
    const char *run_name[RUN_NAMES];
    double *sum;    /* [channels, MOST_POINTS] */
    int32_t *count; /* the same */
} curve_set;

typedef struct reading {
    int blocks;
    int64_t steps;
    curve_set every_step, health, probe;
    bw_status status;
} reading;

static int channels(int blocks)
{
    return RUN_NAMES + blocks * MOST_NAMES;
}

static int name_index(curve_set *s, const char *name)
{
    for (int j = 0; j < s->names; j++)
        if (strcmp(s->name[j], name) == 0) return j;
    if (s->names == MOST_NAMES) return -1;
    (void)snprintf(s->name[s->names], NAME_ROOM, "%s", name);
    return s->names++;
}

static void add_value(curve_set *s, int channel, double x)
{
    int64_t at = (int64_t)channel * MOST_POINTS + s->points - 1;
    if (!isfinite(x)) return;
    s->sum[at] += x;
    s->count[at]++;
}

static void add_block_value(curve_set *s, const char *name, int block, double x)
{
    int j = name_index(s, name);
    if (j >= 0) add_value(s, RUN_NAMES + block * MOST_NAMES + j, x);
}

static void join_points(curve_set *s, int blocks)
{
    s->points /= 2;
    s->per_point *= 2;
    for (int i = 0; i < s->points; i++)
        s->step[i] = s->step[2 * i + 1];
    for (int c = 0; c < channels(blocks); c++) {
        double *sum = s->sum + (int64_t)c * MOST_POINTS;
        int32_t *count = s->count + (int64_t)c * MOST_POINTS;
        for (int i = 0; i < s->most; i++) {
            sum[i] = i < s->points ? sum[2 * i] + sum[2 * i + 1] : 0.0;
            count[i] = i < s->points ? count[2 * i] + count[2 * i + 1] : 0;
        }
    }
}

static bw_status begin_measurement(curve_set *s, int blocks, int64_t step)
{
    bw_status st = BW_OK;
    if (!s->sum) {
        s->most = blocks > MANY_BLOCKS ? POINTS_OF_MANY : MOST_POINTS;
        s->per_point = 1;
        BW_TRY(BW_ALLOC(&s->sum, (int64_t)channels(blocks) * MOST_POINTS));
        BW_TRY(BW_ALLOC(&s->count, (int64_t)channels(blocks) * MOST_POINTS));
    }
    if (s->n == s->points * s->per_point) {
        if (s->points == s->most) join_points(s, blocks);
        s->points++;
    }
    s->step[s->points - 1] = step;
    s->n++;
out:
    return st;
}

static bw_status add_every_step(reading *r, const bw_step *m)
{
    curve_set *s = &r->every_step;
    bw_status st = begin_measurement(s, r->blocks, m->step);
    if (st != BW_OK) return st;
    s->run_name[0] = "lr";
    s->run_name[1] = "samples_per_s";
    s->run_name[2] = "peak_rss_mb";
    s->run_names = RUN_NAMES;
    add_value(s, 0, m->lr);
    add_value(s, 1, m->samples_per_s);
    add_value(s, 2, m->peak_rss_mb);
    for (int k = 0; k < r->blocks; k++) {
        add_block_value(s, "loss", k, m->loss[k]);
        add_block_value(s, "grad_norm", k, m->grad_norm[k]);
        if (m->has_probe) add_block_value(s, "probe_top1_train", k, m->probe_top1_train[k]);
        for (int i = 0; i < m->terms; i++)
            add_block_value(s, m->term_name[i], k, m->term[i][k]);
    }
    return BW_OK;
}

static bw_status add_health(reading *r, const bw_step *m)
{
    curve_set *s = &r->health;
    bw_status st = begin_measurement(s, r->blocks, m->step);
    for (int k = 0; st == BW_OK && k < r->blocks; k++) {
        add_block_value(s, "embedding_std", k, m->embedding_std[k]);
        add_block_value(s, "effective_rank", k, m->effective_rank[k]);
        add_block_value(s, "effective_rank_max", k, m->effective_rank_max[k]);
        add_block_value(s, "dead_channels", k, m->dead_channels[k]);
    }
    return st;
}

static bw_status add_probe(reading *r, const bw_step *m)
{
    bw_status st = begin_measurement(&r->probe, r->blocks, m->step);
    for (int k = 0; st == BW_OK && k < r->blocks; k++)
        add_block_value(&r->probe, "probe_top1", k, m->probe_top1[k]);
    return st;
}

/* The blocks of a run are those of its first line. */
static void add_step(void *user, const bw_step *m)
{
    reading *r = user;
    bw_status st = r->status;
    if (st != BW_OK) return;
    if (r->blocks == 0) r->blocks = m->blocks;
    r->steps = m->step;
    BW_TRY(add_every_step(r, m));
    if (m->has_health) BW_TRY(add_health(r, m));
    if (m->has_probe_test) BW_TRY(add_probe(r, m));
out:
    r->status = st;
}

/* Five digits are more than a plot shows. */
static double rounded(double x)
{
    if (x == 0.0) return 0.0;
    double scale = pow(10.0, 4.0 - floor(log10(fabs(x))));
    return isfinite(scale) && scale > 0.0 ? round(x * scale) / scale : x;
}

static json_t *channel_json(const curve_set *s, int channel)
{
    json_t *array = json_array();
    const double *sum = s->sum + (int64_t)channel * MOST_POINTS;
    const int32_t *count = s->count + (int64_t)channel * MOST_POINTS;
    for (int i = 0; i < s->points; i++)
        (void)json_array_append_new(array, count[i] > 0 ? bw__json_real(rounded(sum[i] / (double)count[i]))
                                                        : json_null());
    return array;
}

static json_t *set_json(const curve_set *s, int blocks)
{
    json_t *o = json_object(), *step = json_array(), *run = json_object(), *block = json_array();
    for (int i = 0; i < s->points; i++)
        (void)json_array_append_new(step, json_integer(s->step[i]));
    for (int j = 0; j < s->run_names; j++)
        (void)json_object_set_new(run, s->run_name[j], channel_json(s, j));
    for (int k = 0; k < blocks; k++) {
        json_t *values = json_object();
        for (int j = 0; j < s->names; j++)
            (void)json_object_set_new(values, s->name[j], channel_json(s, RUN_NAMES + k * MOST_NAMES + j));
        (void)json_array_append_new(block, values);
    }
    (void)json_object_set_new(o, "step", step);
    (void)json_object_set_new(o, "per_point", json_integer(s->per_point));
    (void)json_object_set_new(o, "run", run);
    (void)json_object_set_new(o, "block", block);
    return o;
}

static void free_set(curve_set *s)
{
    bw__free(s->sum);
    bw__free(s->count);
}

bw_status bw__curves_read(json_t **out, const char *path)
{
    bw_status st = BW_OK;
    reading *r = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&r, 1));
    BW_TRY(bw__metrics_read(path, add_step, r));
    BW_TRY(r->status);
    json_t *o = json_object();
    (void)json_object_set_new(o, "blocks", json_integer(r->blocks));
    (void)json_object_set_new(o, "steps", json_integer(r->steps));
    (void)json_object_set_new(o, "every_step", set_json(&r->every_step, r->blocks));
    (void)json_object_set_new(o, "health", set_json(&r->health, r->blocks));
    (void)json_object_set_new(o, "probe", set_json(&r->probe, r->blocks));
    *out = o;
out:
    if (r) {
        free_set(&r->every_step);
        free_set(&r->health);
        free_set(&r->probe);
    }
    bw__free(r);
    return st;
}
