#include "cli/bench_trace.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/trace.h"
#include "dist/collective.h"
#include "formats/atomic_file.h"
#include "formats/json.h"
#include <string.h>

enum { MOST_SPANS = 1 << 17 };

static double zero_s; /* of this rank's clock: clocks of machines differ */

bw_status cli_trace_begin(void)
{
    bw_status st = bw__trace_start(MOST_SPANS);
    st = bw__comm_agree(cli_comm(), st);
    if (st == BW_OK) st = bw__comm_barrier(cli_comm());
    zero_s = bw__now_s();
    return st;
}

/* Names a rank or one of its tracks in the viewer. */
static json_t *name_event(const char *what, int rank, int track, const char *name)
{
    json_t *o = json_object(), *args = json_object();
    (void)json_object_set_new(o, "name", json_string(what));
    (void)json_object_set_new(o, "ph", json_string("M"));
    (void)json_object_set_new(o, "pid", json_integer(rank));
    if (track >= 0) (void)json_object_set_new(o, "tid", json_integer(track));
    (void)json_object_set_new(args, "name", json_string(name));
    (void)json_object_set_new(o, "args", args);
    return o;
}

static json_t *span_event(int rank, const bw_span *s)
{
    json_t *o = json_object(), *args = json_object();
    (void)json_object_set_new(o, "name", json_string(s->name));
    (void)json_object_set_new(o, "cat", json_string(bw__track_name((bw_track)s->track)));
    (void)json_object_set_new(o, "ph", json_string("X"));
    (void)json_object_set_new(o, "ts", bw__json_real(s->begin_s * 1e6));
    (void)json_object_set_new(o, "dur", bw__json_real((s->end_s - s->begin_s) * 1e6));
    (void)json_object_set_new(o, "pid", json_integer(rank));
    (void)json_object_set_new(o, "tid", json_integer(s->track));
    if (s->block >= 0) (void)json_object_set_new(args, "block", json_integer(s->block + 1));
    (void)json_object_set_new(o, "args", args);
    return o;
}

static void add_rank(json_t *events, int rank, const bw_span *spans, int n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "rank %d", rank);
    (void)json_array_append_new(events, name_event("process_name", rank, -1, name));
    for (int t = 0; t < BW_TRACKS; t++)
        (void)json_array_append_new(events, name_event("thread_name", rank, t, bw__track_name((bw_track)t)));
    for (int i = 0; i < n && spans[i].name[0] != '\0'; i++)
        (void)json_array_append_new(events, span_event(rank, &spans[i]));
}

static bw_status write_file(const char *path, const bw_span *all, int n)
{
    char *text = NULL;
    json_t *o = json_object(), *events = json_array();
    for (int rank = 0; rank < bw_comm_size(cli_comm()); rank++)
        add_rank(events, rank, all + (size_t)rank * (size_t)n, n);
    (void)json_object_set_new(o, "traceEvents", events);
    (void)json_object_set_new(o, "displayTimeUnit", json_string("ms"));
    bw_status st = bw__json_line(&text, o);
    if (st == BW_OK) st = bw__atomic_write(path, text, strlen(text));
    json_decref(o);
    bw__free(text);
    return st;
}

bw_status cli_trace_try(const char *path)
{
    return bw__comm_agree(cli_comm(), bw_comm_rank(cli_comm()) == 0 ? bw__atomic_try(path) : BW_OK);
}

bw_status cli_trace_write(const char *path)
{
    bw_status st = BW_OK;
    const bw_span *spans;
    bw_span *own = NULL, *all = NULL;
    int64_t most;
    int lost;
    bw__trace_stop();
    const int n = bw__trace_spans(&spans, &lost);
    most = n;
    if (lost > 0) bw_log(BW_LOG_WARN, "--trace: no room for the last %d spans; take fewer --steps", lost);
    BW_TRY(bw__comm_max_i64(cli_comm(), &most, 1));
    BW_TRY(BW_ALLOC(&own, most)); /* as many from every rank, nameless ones at the end */
    BW_TRY(BW_ALLOC(&all, most * bw_comm_size(cli_comm())));
    for (int i = 0; i < n; i++) {
        own[i] = spans[i];
        own[i].begin_s -= zero_s;
        own[i].end_s -= zero_s;
    }
    if (most > 0) BW_TRY(bw__comm_gather(cli_comm(), all, own, (size_t)most * sizeof *own));
    if (bw_comm_rank(cli_comm()) == 0) st = write_file(path, all, (int)most);
    st = bw__comm_agree(cli_comm(), st);
out:
    bw__trace_clear();
    bw__free(own);
    bw__free(all);
    return st;
}
