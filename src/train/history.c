#include "train/history.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t FIRST_SHARE = 10, LAST_SHARE = 20; /* one part in so many */

static void add_loss(bw_block_history *b, double loss)
{
    if (b->steps < BW_HISTORY_FIRST) b->first[b->steps] = loss;
    if (b->steps == 0) b->per_bin = 1;
    if (b->steps == b->bins * b->per_bin) {
        if (b->bins == BW_HISTORY_BINS) {
            b->bins /= 2;
            b->per_bin *= 2;
            for (int i = 0; i < b->bins; i++)
                b->bin[i] = b->bin[2 * i] + b->bin[2 * i + 1];
        }
        b->bin[b->bins++] = 0.0;
    }
    b->bin[b->bins - 1] += loss;
    b->steps++;
}

/* h->terms without one. */
static int find_term(const bw_history *h, const char *name)
{
    int row = 0;
    while (row < h->terms && strcmp(h->term_name[row], name) != 0)
        row++;
    return row;
}

const char *bw__history_term(const bw_history *h, const char *name)
{
    int row = find_term(h, name);
    return row < h->terms ? h->term_name[row] : NULL;
}

static int row_of_term(bw_history *h, const char *name)
{
    int row = find_term(h, name);
    if (row < h->terms || row == BW_MAX_TERMS) return row;
    (void)snprintf(h->term_name[row], BW_HISTORY_NAME, "%s", name);
    h->terms++;
    for (int k = 0; k < BW_MAX_BLOCKS; k++)
        h->block[k].term[row] = (double)NAN;
    return row;
}

static void add_health(bw_block_history *b, const bw_step *s, int k)
{
    bw_health_note note = { .embedding_std = s->embedding_std[k],
                            .effective_rank = s->effective_rank[k],
                            .effective_rank_max = s->effective_rank_max[k],
                            .dead_channels = s->dead_channels[k] };
    if (isnan(note.embedding_std)) return;
    if (b->healths == 0) b->at_start = note;
    b->newest[b->healths++ % BW_HISTORY_HEALTHS] = note;
}

void bw__history_add(bw_history *h, const bw_step *s)
{
    h->steps = s->step;
    if (s->blocks > h->blocks) h->blocks = s->blocks;
    for (int k = 0; k < s->blocks; k++) {
        if (isnan(s->loss[k])) continue;
        add_loss(&h->block[k], s->loss[k]);
        h->block[k].grad_norm = s->grad_norm[k];
        if (s->has_health) add_health(&h->block[k], s, k);
    }
    h->has_probe = h->has_probe || s->has_probe_test;
    for (int k = 0; k < s->blocks && s->has_probe_test; k++)
        h->block[k].probe_top1 = s->probe_top1[k];
    for (int i = 0; i < s->terms; i++) {
        int row = row_of_term(h, s->term_name[i]);
        for (int k = 0; k < s->blocks && row < BW_MAX_TERMS; k++)
            if (!isnan(s->term[i][k])) h->block[k].term[row] = s->term[i][k];
    }
}

static int64_t first_steps(const bw_block_history *b)
{
    int64_t n = b->steps / FIRST_SHARE;
    return n < 1 ? 1 : n > BW_HISTORY_FIRST ? BW_HISTORY_FIRST : n;
}

double bw__history_first_loss(const bw_block_history *b)
{
    int64_t n = first_steps(b);
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += b->first[i];
    return sum / (double)n;
}

double bw__history_last_loss(const bw_block_history *b)
{
    int64_t wanted = b->steps / LAST_SHARE, have = 0;
    double sum = 0.0;
    if (wanted < first_steps(b)) wanted = first_steps(b);
    for (int i = b->bins - 1; i >= 0 && have < wanted; i--) {
        sum += b->bin[i];
        have += i == b->bins - 1 ? b->steps - i * b->per_bin : b->per_bin;
    }
    return sum / (double)have;
}

bw_health_note bw__history_health(const bw_block_history *b)
{
    bw_health_note sum = { 0 };
    int64_t begin = b->healths > BW_HISTORY_HEALTHS ? b->healths - BW_HISTORY_HEALTHS : 1;
    double n = b->healths > begin ? (double)(b->healths - begin) : (double)NAN;
    for (int64_t i = begin; i < b->healths; i++) {
        const bw_health_note *note = &b->newest[i % BW_HISTORY_HEALTHS];
        sum.embedding_std += note->embedding_std;
        sum.effective_rank += note->effective_rank;
        sum.effective_rank_max += note->effective_rank_max;
        sum.dead_channels += note->dead_channels;
    }
    return (bw_health_note){ .embedding_std = sum.embedding_std / n,
                             .effective_rank = sum.effective_rank / n,
                             .effective_rank_max = sum.effective_rank_max / n,
                             .dead_channels = sum.dead_channels / n };
}
