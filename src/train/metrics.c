#include "train/metrics.h"
#include "base/memory.h"
#include "formats/json.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct bw_metrics {
    FILE *stream;
    char *path;
    off_t last; /* where the last line began when the file was opened */
};

static bw_status io_error(const char *path, const char *what)
{
    return bw_fail(BW_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* Behind getline(): only at the end of a file is nothing wrong when it gives no line. Without memory for one
 * it sets no error of the stream. */
static bool ended_early(FILE *f, ssize_t n)
{
    return n < 0 && !feof(f);
}

/* --- cutting --- */

/* Step of a whole line, or -1. */
static int64_t step_of_line(const char *line, size_t bytes)
{
    json_t *value = NULL;
    int64_t step = -1;
    if (bytes == 0 || line[bytes - 1] != '\n') return -1;
    if (bw__json_parse(&value, line, bytes, "line") == BW_OK) {
        const json_t *number = json_object_get(value, "step");
        if (json_is_integer(number)) step = (int64_t)json_integer_value(number);
    }
    json_decref(value);
    return step;
}

/* Bytes of the lines up to `last_step`, where the last of them begins, and its step. */
static bw_status find_end(off_t *out_end, off_t *out_last, int64_t *out_step, FILE *f, int64_t last_step,
                          const char *path)
{
    bw_status st = BW_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    *out_end = *out_last = 0;
    *out_step = 0;
    while ((n = getline(&line, &room, f)) > 0) {
        int64_t step = step_of_line(line, (size_t)n);
        if (step < 0 || step > last_step) break;
        *out_last = *out_end;
        *out_end += n;
        *out_step = step;
    }
    if (ended_early(f, n)) st = io_error(path, "read");
    free(line);
    return st;
}

bw_status bw__metrics_open(bw_metrics **out, const char *path, int64_t last_step)
{
    bw_status st = BW_OK;
    bw_metrics *m = NULL;
    off_t end = 0;
    int64_t step = 0;

    *out = NULL;
    BW_TRY(BW_ALLOC(&m, 1));
    BW_TRY(bw__strdup(&m->path, path));
    m->stream = fopen(path, "a+e");
    if (!m->stream) BW_TRY(io_error(path, "open"));
    rewind(m->stream);
    BW_TRY(find_end(&end, &m->last, &step, m->stream, last_step, path));
    if (step != last_step)
        bw_log(BW_LOG_WARN, "%s: ends with step %" PRId64 ", the run goes on behind step %" PRId64, path,
               step, last_step);
    if (ftruncate(fileno(m->stream), end) != 0) BW_TRY(io_error(path, "cut"));
    if (fseeko(m->stream, end, SEEK_SET) != 0) BW_TRY(io_error(path, "cut"));
    *out = m;
    m = NULL;
out:
    bw__metrics_close(m);
    return st;
}

void bw__metrics_close(bw_metrics *metrics)
{
    if (!metrics) return;
    /* Every line was flushed when it was written: nothing can be lost here. */
    if (metrics->stream) (void)fclose(metrics->stream);
    bw__free(metrics->path);
    bw__free(metrics);
}

/* --- writing --- */

static json_t *line_of(const bw_step *s)
{
    json_t *line = json_object();
    int failed = !line;
    failed |= json_object_set_new(line, "step", json_integer(s->step));
    failed |= json_object_set_new(line, "epoch", json_integer(s->epoch));
    failed |= json_object_set_new(line, "lr", bw__json_real(s->lr));
    failed |= json_object_set_new(line, "loss", bw__json_reals(s->loss, s->blocks));
    for (int i = 0; i < s->terms; i++)
        failed |= json_object_set_new(line, s->term_name[i], bw__json_reals(s->term[i], s->blocks));
    failed |= json_object_set_new(line, "grad_norm", bw__json_reals(s->grad_norm, s->blocks));
    if (s->has_health) {
        failed |= json_object_set_new(line, "embedding_std", bw__json_reals(s->embedding_std, s->blocks));
        failed |= json_object_set_new(line, "effective_rank", bw__json_reals(s->effective_rank, s->blocks));
        failed |=
            json_object_set_new(line, "effective_rank_max", bw__json_reals(s->effective_rank_max, s->blocks));
        failed |= json_object_set_new(line, "dead_channels", bw__json_reals(s->dead_channels, s->blocks));
    }
    if (s->has_probe)
        failed |=
            json_object_set_new(line, "probe_top1_train", bw__json_reals(s->probe_top1_train, s->blocks));
    if (s->has_probe_test)
        failed |= json_object_set_new(line, "probe_top1", bw__json_reals(s->probe_top1, s->blocks));
    failed |= json_object_set_new(line, "samples_per_s", bw__json_real(s->samples_per_s));
    failed |= json_object_set_new(line, "peak_rss_mb", bw__json_real(s->peak_rss_mb));
    if (!failed) return line;
    json_decref(line);
    return NULL;
}

bw_status bw__metrics_write(bw_metrics *metrics, const bw_step *step)
{
    char *text = NULL;
    json_t *line = line_of(step);
    bw_status st = bw__json_line(&text, line);
    json_decref(line);
    if (st == BW_OK && (fprintf(metrics->stream, "%s\n", text) < 0 || fflush(metrics->stream) != 0))
        st = io_error(metrics->path, "write");
    bw__free(text);
    return st;
}

bw_status bw__metrics_amend(bw_metrics *metrics, const bw_step *step)
{
    if (ftruncate(fileno(metrics->stream), metrics->last) != 0) return io_error(metrics->path, "cut");
    return bw__metrics_write(metrics, step);
}

bw_status bw__metrics_sync(bw_metrics *metrics)
{
    return fsync(fileno(metrics->stream)) == 0 ? BW_OK : io_error(metrics->path, "write");
}

/* --- reading --- */

/* An array of numbers; what is missing or null is NaN. */
static void take_array(double *to, const json_t *array)
{
    for (size_t k = 0; k < BW_MAX_BLOCKS; k++) {
        const json_t *value = json_array_get(array, k);
        to[k] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
}

/* Whatever array is not named here is a term of a loss. */
static void take_key(bw_step *s, const char *key, const json_t *array)
{
    struct {
        const char *key;
        double *to;
    } known[] = { { "loss", s->loss },
                  { "grad_norm", s->grad_norm },
                  { "embedding_std", s->embedding_std },
                  { "effective_rank", s->effective_rank },
                  { "effective_rank_max", s->effective_rank_max },
                  { "dead_channels", s->dead_channels },
                  { "probe_top1_train", s->probe_top1_train },
                  { "probe_top1", s->probe_top1 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(key, known[i].key) == 0) {
            take_array(known[i].to, array);
            return;
        }
    if (s->terms == BW_MAX_TERMS) return;
    s->term_name[s->terms] = key;
    take_array(s->term[s->terms++], array);
}

static bool step_of_json(bw_step *s, json_t *line)
{
    const char *key;
    json_t *value;
    const json_t *number = json_object_get(line, "step"), *loss = json_object_get(line, "loss");
    size_t blocks = json_array_size(loss);
    if (!json_is_integer(number) || blocks < 1 || blocks > BW_MAX_BLOCKS) return false;
    *s = (bw_step){ .step = (int64_t)json_integer_value(number),
                    .epoch = (int64_t)json_integer_value(json_object_get(line, "epoch")),
                    .blocks = (int)blocks,
                    .lr = json_number_value(json_object_get(line, "lr")),
                    .has_health = json_object_get(line, "embedding_std") != NULL,
                    .has_probe = json_object_get(line, "probe_top1_train") != NULL,
                    .has_probe_test = json_object_get(line, "probe_top1") != NULL,
                    .samples_per_s = json_number_value(json_object_get(line, "samples_per_s")),
                    .peak_rss_mb = json_number_value(json_object_get(line, "peak_rss_mb")) };
    double *wanted[] = { s->grad_norm,     s->embedding_std,    s->effective_rank, s->effective_rank_max,
                         s->dead_channels, s->probe_top1_train, s->probe_top1 };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        take_array(wanted[i], NULL);
    json_object_foreach(line, key, value) if (json_is_array(value)) take_key(s, key, value);
    return true;
}

bw_status bw__metrics_read(const char *path, void (*fn)(void *user, const bw_step *step), void *user)
{
    bw_status st = BW_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    FILE *f = fopen(path, "re");
    if (!f) return bw_fail(errno == ENOENT ? BW_EDATA : BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    for (int64_t i = 1; (n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n'; i++) {
        json_t *value = NULL;
        bw_step step;
        st = bw__json_parse(&value, line, (size_t)n, path);
        if (st == BW_OK && !step_of_json(&step, value)) st = bw_fail(BW_EDATA, "no step's metrics");
        if (st == BW_OK) fn(user, &step);
        json_decref(value);
        if (st != BW_OK) {
            st = bw_fail(st, "%s:%" PRId64 ": not a line of metrics; cut the file before it", path, i);
            break;
        }
    }
    if (st == BW_OK && ended_early(f, n)) st = io_error(path, "read");
    free(line);
    (void)fclose(f);
    return st;
}
