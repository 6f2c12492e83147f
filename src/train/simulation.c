#include "train/simulation.h"
#include "dist/comm_timing.h"
#include <math.h>

static int rounds(int ranks)
{
    int n = 0;
    while (1 << n < ranks)
        n++;
    return n;
}

double bw__link_message_s(const bw_link *link, double bytes)
{
    return link->delay_s + bytes / link->bytes_per_s;
}

double bw__link_sum_s(const bw_link *link, int ranks, double bytes)
{
    return 2.0 * rounds(ranks) * link->delay_s +
           2.0 * bytes * (ranks - 1) / ((double)ranks * link->bytes_per_s);
}

double bw__link_gather_s(const bw_link *link, int ranks, double bytes)
{
    return rounds(ranks) * link->delay_s + bytes * (ranks - 1) / link->bytes_per_s;
}

/* What a rank goes through. */
typedef struct course {
    bw_timed_row *row;
    const bw_link *link;
    int ranks;
    double now, link_until; /* seconds since the step began; the gradients on the link are summed then */
} course;

static void compute(course *c, double seconds)
{
    c->now += seconds;
    c->row->compute_s += seconds;
}

/* The step waits for what is on the link, and then for messages that take `seconds`, of them `busy_s` on the
 * link. */
static void wait_for_messages(course *c, double seconds, double busy_s)
{
    const double begin = fmax(c->now, c->link_until), end = begin + seconds;
    c->row->statistics_s += end - c->now;
    c->row->link_s += busy_s;
    c->now = end;
}

static void sum(course *c, double bytes)
{
    const bw_link no_delay = { .bytes_per_s = c->link->bytes_per_s };
    wait_for_messages(c, bw__link_sum_s(c->link, c->ranks, bytes),
                      bw__link_sum_s(&no_delay, c->ranks, bytes));
    c->row->sent_bytes += bw__comm_least_sent(BW_COMM_TIME_SUM_F64, 1, c->ranks) * bytes;
}

static void gather(course *c, double bytes)
{
    const bw_link no_delay = { .bytes_per_s = c->link->bytes_per_s };
    wait_for_messages(c, bw__link_gather_s(c->link, c->ranks, bytes),
                      bw__link_gather_s(&no_delay, c->ranks, bytes));
    c->row->sent_bytes += bw__comm_least_sent(BW_COMM_TIME_GATHER, 1, c->ranks) * bytes;
}

/* Computes for so long, with sums on the way. */
static void pass(course *c, double seconds, bw_messages sums)
{
    if (sums.calls == 0) compute(c, seconds);
    for (int64_t i = 0; i < sums.calls; i++) {
        compute(c, seconds / (double)sums.calls);
        sum(c, (double)sums.bytes / (double)sums.calls);
    }
}

static void begin_gradients(course *c, int64_t bytes)
{
    const bw_link no_delay = { .bytes_per_s = c->link->bytes_per_s };
    if (bytes == 0 || c->ranks == 1) return;
    c->link_until = fmax(c->link_until, c->now) + bw__link_sum_s(c->link, c->ranks, (double)bytes);
    c->row->link_s += bw__link_sum_s(&no_delay, c->ranks, (double)bytes);
    c->row->sent_bytes += bw__comm_least_sent(BW_COMM_TIME_SUM_F32, 1, c->ranks) * (double)bytes;
}

/* Of the block that waits for its gradients, if there is one. */
static void finish(course *c, const bw_timed_block **waiting)
{
    if (!*waiting) return;
    c->row->gradients_s += fmax(c->link_until - c->now, 0.0);
    c->now = fmax(c->now, c->link_until);
    compute(c, (*waiting)->update_s);
    *waiting = NULL;
}

static bw_messages without(bw_messages all, bw_messages part)
{
    return (bw_messages){ all.calls - part.calls, all.bytes - part.bytes };
}

static void learn(course *c, const bw_timed_block *b)
{
    const bw_messages gathered = b->sent.gathered;
    pass(c, 0.0, b->sent.loss);
    for (int64_t i = 0; i < gathered.calls; i++)
        gather(c, (double)gathered.bytes / (double)gathered.calls);
    pass(c, b->head_s, b->head_sums);
    begin_gradients(c, b->sent.gradients.bytes - b->trunk_bytes);
    pass(c, b->trunk_s, without(b->sent.backward, b->head_sums));
    begin_gradients(c, b->trunk_bytes);
}

void bw__time_row(bw_timed_row *out, const bw_timed_block *block, int n, int ranks, int64_t in_bytes,
                  bool has_behind, const bw_link *link)
{
    course c = { .row = out, .link = link, .ranks = ranks };
    const bw_timed_block *waiting = NULL;
    const int64_t out_bytes = has_behind ? block[n - 1].sent.output.bytes : 0;
    *out = (bw_timed_row){ 0 };
    for (int k = 0; k < n; k++) {
        pass(&c, block[k].forward_s, block[k].sent.forward);
        if (!block[k].learns) continue;
        finish(&c, &waiting);
        learn(&c, &block[k]);
        waiting = &block[k];
        if (!block[k].overlaps) finish(&c, &waiting);
    }
    finish(&c, &waiting);
    out->sent_bytes += (double)out_bytes;
    out->link_s += fmax((double)in_bytes, (double)out_bytes) / link->bytes_per_s;
    out->step_s = fmax(c.now, out->link_s);
}
