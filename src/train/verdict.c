/* Verdicts. The thresholds are meant to be crossed by what is plainly wrong only: a verdict "learnt" says
 * that nothing is, not that the features are good. docs/health.md explains each of them to users. */
#include "train/verdict.h"
#include "base/folder.h"
#include "base/memory.h"
#include "train/metrics.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Fewer steps say nothing: warm-up alone takes up to a tenth, and the means at the ends would be of one step.
 */
static const int64_t LEAST_STEPS = 20;
/* Losses of single batches scatter by some per cent, their means over the windows of history.h by less than
 * one: a smaller fall is no fall. */
static const double NO_FALL = 0.02;
/* In 60 steps of the demo (batch 64) the loss of every block falls by more than 60 per cent. */
static const double WEAK_FALL = 0.1;
/* embedding_std is 1 where embeddings point everywhere and about 0.8 in a random projector (the mean behind a
 * ReLU is shared); at 0.1 the shared part of every embedding is ten times what tells images apart. */
static const double COLLAPSED_STD = 0.1;
/* Directions that are left of a collapse: one or two, or this share of the most there can be. Barlow Twins at
 * batch 64 goes from 46 to 7 of 64 in its first hundred steps, on its way up again; VICReg without what keeps
 * embeddings apart goes to 1.0. Maxima below 8 (few classes) are not judged: there, all that is needed may be
 * one or two directions. */
static const double COLLAPSED_RANK = 0.005, LEAST_COLLAPSED_RANK = 2.0, LEAST_RANK_MAX = 8.0;
/* A collapse is something that training did: the measure is at most this share of what it was at the start.
 */
static const double FALLEN = 0.5;
/* Directions lost although some are left: fewer than this share of those of the random initialisation. The
 * demo with a learning rate hundreds of times too large goes from 54 to 3.6 while its loss falls by a
 * quarter; runs that learn keep a seventh or more. */
static const double LOST_RANK = 0.08;
/* More than half of the channels dead, and by more than a tenth of all more than at the start. */
static const double MANY_DEAD = 0.5, DEAD_GROWTH = 0.1;

#define SPREAD                                                                                               \
    "try a smaller optimizer.lr, a longer optimizer.warmup_epochs, or more weight on the terms of the loss " \
    "that spread embeddings (loss.lambda, loss.variance, loss.covariance)"
#define GENTLER "try a smaller optimizer.lr or a longer optimizer.warmup_epochs"
#define HARDER  "try a larger optimizer.lr or more train.epochs"

const char *bw_verdict_text(bw_verdict_word word)
{
    static const char *const text[] = {
        [BW_VERDICT_NOT_TRAINED] = "not trained", [BW_VERDICT_TOO_SHORT] = "too short to say",
        [BW_VERDICT_LEARNT] = "learnt",           [BW_VERDICT_WEAK] = "weak",
        [BW_VERDICT_COLLAPSED] = "collapsed",     [BW_VERDICT_DID_NOT_LEARN] = "did not learn"
    };
    return (size_t)word < sizeof text / sizeof *text ? text[word] : "unknown verdict";
}

static void say(bw_block_verdict *v, bw_verdict_word word, const char *advice)
{
    v->word = word;
    (void)snprintf(v->advice, sizeof v->advice, "%s", advice);
}

static bool has_collapsed(const bw_block_verdict *v)
{
    double least_rank = COLLAPSED_RANK * v->effective_rank_max;
    if (least_rank < LEAST_COLLAPSED_RANK) least_rank = LEAST_COLLAPSED_RANK;
    bool fewer = v->effective_rank[1] < FALLEN * v->effective_rank[0];
    bool narrower = v->embedding_std[1] < FALLEN * v->embedding_std[0];
    /* A shared mean alone, which Barlow Twins takes away before it looks, leaves the rank high. */
    bool one_point = v->embedding_std[1] < COLLAPSED_STD && narrower && fewer;
    bool few_directions =
        v->effective_rank[1] < least_rank && fewer && v->effective_rank_max >= LEAST_RANK_MAX;
    return one_point || few_directions;
}

static void take_health(bw_block_verdict *v, const bw_block_history *b)
{
    bw_health_note first = b->at_start, last = bw__history_health(b);
    if (b->healths == 0) first = (bw_health_note){ (double)NAN, (double)NAN, (double)NAN, (double)NAN };
    v->embedding_std[0] = first.embedding_std;
    v->embedding_std[1] = last.embedding_std;
    v->effective_rank[0] = first.effective_rank;
    v->effective_rank[1] = last.effective_rank;
    v->effective_rank_max = first.effective_rank_max;
    v->dead_channels[0] = first.dead_channels;
    v->dead_channels[1] = last.dead_channels;
}

void bw__verdict_judge_health(bw_block_verdict *v, const bw_block_history *b)
{
    *v = (bw_block_verdict){ .steps = b->steps };
    take_health(v, b);
    if (b->steps < LEAST_STEPS) {
        v->word = b->steps > 0 ? BW_VERDICT_TOO_SHORT : BW_VERDICT_NOT_TRAINED;
        return;
    }
    v->word = BW_VERDICT_LEARNT;
    if (has_collapsed(v)) {
        say(v, BW_VERDICT_COLLAPSED, SPREAD);
        (void)snprintf(
            v->reason, sizeof v->reason,
            "embedding std %.3g (%.3g at the start), effective rank %.1f of %.0f (%.1f at the start)",
            v->embedding_std[1], v->embedding_std[0], v->effective_rank[1], v->effective_rank_max,
            v->effective_rank[0]);
    } else if (v->dead_channels[1] > MANY_DEAD && v->dead_channels[1] > v->dead_channels[0] + DEAD_GROWTH) {
        say(v, BW_VERDICT_WEAK, GENTLER);
        (void)snprintf(v->reason, sizeof v->reason,
                       "%.0f %% of its channels are 0 for every image (%.0f %% at the start)",
                       100.0 * v->dead_channels[1], 100.0 * v->dead_channels[0]);
    }
}

/* Of a whole run: on its way a rank may fall for a while and rise again. */
static void judge_rank(bw_block_verdict *v)
{
    if (v->effective_rank_max < LEAST_RANK_MAX) return;
    if (!(v->effective_rank[1] < LOST_RANK * v->effective_rank[0])) return;
    say(v, BW_VERDICT_WEAK, SPREAD);
    (void)snprintf(v->reason, sizeof v->reason,
                   "its embeddings lost directions: effective rank %.1f of %.0f (%.1f at the start)",
                   v->effective_rank[1], v->effective_rank_max, v->effective_rank[0]);
}

/* Of a block whose health says nothing bad. */
static void judge_loss(bw_block_verdict *v)
{
    double first = v->loss[0], last = v->loss[1], fall = (first - last) / fabs(first);
    if (fall >= WEAK_FALL) return;
    bool fell = fall >= NO_FALL; /* and not where the loss is 0 from the beginning */
    bool rose = last > first * (1.0 + NO_FALL);
    say(v, fell ? BW_VERDICT_WEAK : BW_VERDICT_DID_NOT_LEARN, rose ? GENTLER : HARDER);
    (void)snprintf(v->reason, sizeof v->reason, "its loss %s from %.4g to %.4g in %" PRId64 " steps",
                   rose   ? "rose"
                   : fell ? "fell only"
                          : "went",
                   first, last, v->steps);
}

static void judge_block(bw_block_verdict *v, const bw_history *h, int k)
{
    const bw_block_history *b = &h->block[k];
    bw__verdict_judge_health(v, b);
    v->loss[0] = b->steps > 0 ? bw__history_first_loss(b) : (double)NAN;
    v->loss[1] = b->steps > 0 ? bw__history_last_loss(b) : (double)NAN;
    v->grad_norm = b->steps > 0 ? b->grad_norm : (double)NAN;
    v->probe_top1 = h->has_probe ? b->probe_top1 : (double)NAN;
    for (int i = 0; i < h->terms; i++)
        v->term[i] = b->term[i];
    if (v->word == BW_VERDICT_TOO_SHORT)
        (void)snprintf(v->reason, sizeof v->reason, "%" PRId64 " steps; a verdict takes %" PRId64, b->steps,
                       LEAST_STEPS);
    if (v->word == BW_VERDICT_LEARNT) judge_rank(v);
    if (v->word == BW_VERDICT_LEARNT) judge_loss(v);
}

void bw__verdict_judge(bw_verdict *out, const bw_history *h)
{
    *out = (bw_verdict){ .steps = h->steps, .blocks = h->blocks, .terms = h->terms };
    for (int i = 0; i < h->terms; i++)
        (void)snprintf(out->term_name[i], sizeof out->term_name[i], "%s", h->term_name[i]);
    for (int k = 0; k < h->blocks; k++)
        judge_block(&out->block[k], h, k);
}

void bw__verdict_warn(const bw_block_verdict *v, int block)
{
    if (!v->advice[0]) return;
    const char *what = v->word == BW_VERDICT_COLLAPSED ? " has collapsed"
                       : v->word == BW_VERDICT_WEAK    ? " is weak"
                                                       : " did not learn";
    bw_log(BW_LOG_WARN, "block %d%s: %s; %s", block + 1, what, v->reason, v->advice);
}

static void add_step(void *user, const bw_step *step)
{
    bw__history_add(user, step);
}

bw_status bw_verdict_read(bw_verdict *out, const char *run)
{
    bw_status st = BW_OK;
    bw_history *history = NULL;
    char *path = NULL;

    *out = (bw_verdict){ 0 };
    BW_TRY(BW_ALLOC(&history, 1));
    BW_TRY(bw__folder_file(&path, run, BW_RUN_METRICS));
    BW_TRY(bw__metrics_read(path, add_step, history));
    bw__verdict_judge(out, history);
out:
    bw__free(path);
    bw__free(history);
    return st;
}
