/* What is said about blocks, by metrics that a run could have written. */
#include "check.h"
#include "base/memory.h"
#include "train/metrics.h"
#include "train/verdict.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A block's numbers go from `first` to `last`: the loss halves its distance every tenth of the run, health
 * moves evenly. */
typedef struct course {
    double loss[2], std[2], rank[2], rank_max, dead[2];
    double begin, end; /* shares of the run between which the block is trained */
} course;

static const course fine = { { 20, 8 }, { 0.8, 0.9 }, { 30, 55 }, 128, { 0.02, 0.05 }, 0, 1 };

static char run[4200];
static bw_verdict verdict;
static int warnings;
static char warning[4096];

static void count_warnings(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level != BW_LOG_WARN) return;
    warnings++;
    (void)snprintf(warning, sizeof warning, "%s", line);
}

static int fresh(void **state)
{
    (void)state;
    (void)snprintf(run, sizeof run, "%s", temp_folder());
    warnings = 0;
    warning[0] = '\0';
    bw_set_log(count_warnings, NULL);
    return 0;
}

static double between(const double end[2], double share)
{
    return end[0] + share * (end[1] - end[0]);
}

static bw_step step_of(const course *c, int blocks, int64_t step, int64_t steps, int64_t every)
{
    bw_step s = { .step = step,
                  .blocks = blocks,
                  .terms = 1,
                  .term_name = { "on_diag" },
                  .has_health = step == 1 || step % every == 0 || step == steps };
    for (int k = 0; k < blocks; k++) {
        double t = steps > 1 ? (double)(step - 1) / (double)(steps - 1) : 0.0;
        bool on = t >= c[k].begin && t <= c[k].end;
        double own = (t - c[k].begin) / (c[k].end - c[k].begin), off = on ? 0.0 : (double)NAN;
        double noise = 0.01 * c[k].loss[0] * (double)(step * 7919 % 13 - 6) / 6.0;
        s.loss[k] = c[k].loss[1] + (c[k].loss[0] - c[k].loss[1]) * pow(0.5, 10.0 * own) + noise + off;
        s.term[0][k] = 0.5 * s.loss[k];
        s.grad_norm[k] = 2.0 + k + off;
        s.embedding_std[k] = between(c[k].std, own) + off;
        s.effective_rank[k] = between(c[k].rank, own) + off;
        s.effective_rank_max[k] = c[k].rank_max + off;
        s.dead_channels[k] = between(c[k].dead, own) + off;
    }
    return s;
}

/* Writes metrics.jsonl and judges it. */
static void judge(const course *c, int blocks, int64_t steps)
{
    char path[4300];
    bw_metrics *m = NULL;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    CHECK_OK(bw__metrics_open(&m, path, 0));
    for (int64_t i = 1; i <= steps; i++) {
        bw_step s = step_of(c, blocks, i, steps, 20);
        CHECK_OK(bw__metrics_write(m, &s));
    }
    bw__metrics_close(m);
    CHECK_OK(bw_verdict_read(&verdict, run));
    assert_int_equal(verdict.steps, steps);
    assert_int_equal(verdict.blocks, steps > 0 ? blocks : 0);
}

static void assert_verdict(int k, bw_verdict_word word, const char *reason, const char *advice)
{
    const bw_block_verdict *v = &verdict.block[k];
    if (v->word != word) fail_msg("block %d: %s (%s)", k + 1, bw_verdict_text(v->word), v->reason);
    if (!strstr(v->reason, reason)) fail_msg("'%s' does not say '%s'", v->reason, reason);
    if (!strstr(v->advice, advice)) fail_msg("'%s' does not say '%s'", v->advice, advice);
    if (!*advice) assert_string_equal(v->advice, "");
}

static void a_block_whose_loss_falls_has_learnt(void **state)
{
    (void)state;
    judge(&fine, 1, 200);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
    const bw_block_verdict *v = &verdict.block[0];
    assert_int_equal(v->steps, 200);
    assert_string_equal(verdict.term_name[0], "on_diag");
    double got[] = { v->loss[1],           v->term[0],          v->grad_norm,
                     v->embedding_std[0],  v->embedding_std[1], v->effective_rank[0],
                     v->effective_rank[1], v->dead_channels[1], v->effective_rank_max };
    /* Of health, the mean of the measures at steps 160, 180 and 200; the last is measured once. */
    double share = (159.0 + 179.0 + 199.0) / 3.0 / 199.0;
    double want[] = { 8.0, 4.0, 2.0, 0.8, 0.8 + 0.1 * share, 30, 30 + 25 * share, 0.02 + 0.03 * share, 128 };
    CHECK_CLOSE(got, want, 1, 0.02, 0.0);
    CHECK_CLOSE(got + 1, want + 1, 1, 0.05, 0.0);
    CHECK_CLOSE(got + 2, want + 2, 7, 1e-8, 0.0);
}

static void embeddings_in_one_point_have_collapsed(void **state)
{
    (void)state;
    course c = fine;
    c.std[1] = 0.01;
    c.rank[1] = 10; /* many for that */
    judge(&c, 1, 400);
    assert_verdict(0, BW_VERDICT_COLLAPSED, "(0.8 at the start)", "optimizer.lr");
    assert_non_null(strstr(verdict.block[0].reason, "of 128 (30.0 at the start)"));
}

static void embeddings_in_a_few_of_many_directions_have_collapsed(void **state)
{
    (void)state;
    course c = fine;
    c.rank[1] = 1.0;
    judge(&c, 1, 1000);
    assert_verdict(0, BW_VERDICT_COLLAPSED, "effective rank", "loss.lambda");
    /* As few as at the start are not of the training's making, and with two classes they are all. */
    c.rank[0] = 1.6;
    judge(&c, 1, 1000);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
    c.rank[0] = 30;
    c.rank_max = 2;
    judge(&c, 1, 1000);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
}

static void embeddings_that_lost_directions_are_weak(void **state)
{
    (void)state;
    course c = fine;
    c.rank[0] = 60;
    c.rank[1] = 12;
    judge(&c, 1, 1000);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
    c.rank[1] = 3;
    judge(&c, 1, 1000);
    assert_verdict(0, BW_VERDICT_WEAK, "of 128 (60.0 at the start)", "optimizer.lr");
}

/* Barlow Twins standardises every dimension, so it does not mind where their mean goes. */
static void a_shared_mean_alone_is_no_collapse(void **state)
{
    (void)state;
    course c = fine;
    c.std[1] = 0.01;
    judge(&c, 1, 400);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
}

static void a_loss_that_stays_or_rises_did_not_learn(void **state)
{
    (void)state;
    course c[2] = { fine, fine };
    c[0].loss[1] = 19.8;
    c[1].loss[1] = 30.0;
    judge(c, 2, 300);
    assert_verdict(0, BW_VERDICT_DID_NOT_LEARN, "went from", "larger optimizer.lr");
    assert_verdict(1, BW_VERDICT_DID_NOT_LEARN, "rose from", "smaller optimizer.lr");
    assert_non_null(strstr(verdict.block[0].reason, "in 300 steps"));
}

static void a_loss_that_falls_a_little_is_weak(void **state)
{
    (void)state;
    course c = fine;
    c.loss[1] = 18.8;
    judge(&c, 1, 300);
    assert_verdict(0, BW_VERDICT_WEAK, "fell only", "more train.epochs");
}

static void channels_that_died_in_training_make_a_block_weak(void **state)
{
    (void)state;
    course c[2] = { fine, fine };
    c[0].dead[1] = 0.72;
    c[1].dead[0] = 0.6;
    c[1].dead[1] = 0.64; /* dead from the beginning */
    judge(c, 2, 1000);
    assert_verdict(0, BW_VERDICT_WEAK, "% of its channels are 0 for every image (2 % at the start)",
                   "smaller optimizer.lr");
    assert_verdict(1, BW_VERDICT_LEARNT, "", "");
}

static void too_few_steps_are_not_judged(void **state)
{
    (void)state;
    course bad = fine;
    bad.std[1] = bad.rank[1] = 0.0;
    bad.loss[1] = 40;
    for (int64_t steps = 0; steps <= 19; steps += steps < 3 ? 1 : 16) {
        judge(&bad, 1, steps);
        if (steps > 0) assert_verdict(0, BW_VERDICT_TOO_SHORT, "steps; a verdict takes 20", "");
    }
    judge(&bad, 1, 20);
    assert_verdict(0, BW_VERDICT_COLLAPSED, "embedding std 0 ", "optimizer.lr");
}

static void a_block_is_judged_by_the_steps_in_which_it_was_trained(void **state)
{
    (void)state;
    course c[3] = { fine, fine, fine };
    c[0].end = 0.5;
    c[1].begin = 0.5;
    c[1].loss[0] = 8.0; /* as large as the first block's at its end, and it stays */
    c[2].begin = 2;
    c[2].end = 3;
    judge(c, 3, 200);
    assert_verdict(0, BW_VERDICT_LEARNT, "", "");
    assert_verdict(1, BW_VERDICT_DID_NOT_LEARN, "from 8", "larger");
    assert_verdict(2, BW_VERDICT_NOT_TRAINED, "", "");
    assert_true(isnan(verdict.block[2].loss[0]) && isnan(verdict.block[2].dead_channels[0]));
}

static void the_ends_of_a_long_run_are_found_among_a_hundred_thousand_steps(void **state)
{
    (void)state;
    bw_history *h = NULL;
    CHECK_OK(BW_ALLOC(&h, 1));
    enum { LONG = 100003 };
    for (int64_t i = 1; i <= LONG; i++) {
        bw_step s = { .step = i, .blocks = 1, .loss = { (double)i } };
        bw__history_add(h, &s);
    }
    assert_int_equal(h->block[0].steps, LONG);
    double first = bw__history_first_loss(&h->block[0]), last = bw__history_last_loss(&h->block[0]);
    CHECK_CLOSE(&first, &(double){ 5.5 }, 1, 1e-12, 0.0);
    /* The mean of the last 5 to 6.6 per cent. */
    assert_true(last > LONG * (1 - 0.033) && last < LONG * (1 - 0.025));
    bw__free(h);
}

static void a_torn_last_line_is_left_out_and_a_damaged_one_named(void **state)
{
    (void)state;
    char path[4300];
    judge(&fine, 1, 30);
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs("{\"step\":31,\"lo", f) >= 0);
    assert_int_equal(fclose(f), 0);
    CHECK_OK(bw_verdict_read(&verdict, run));
    assert_int_equal(verdict.steps, 30);
    f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs("ss\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(bw_verdict_read(&verdict, run), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "metrics.jsonl:31"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(bw_verdict_read(&verdict, run), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "metrics.jsonl"));
}

static void a_warning_says_block_reason_and_what_to_try(void **state)
{
    (void)state;
    course c[2] = { fine, fine };
    c[1].loss[1] = 20;
    judge(c, 2, 100);
    bw__verdict_warn(&verdict.block[0], 0);
    assert_int_equal(warnings, 0);
    bw__verdict_warn(&verdict.block[1], 1);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, "block 2 did not learn: its loss went from"));
    assert_non_null(strstr(warning, "; try "));
}

static void a_word_that_is_none_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(bw_verdict_text(BW_VERDICT_DID_NOT_LEARN), "did not learn");
    assert_string_equal(bw_verdict_text((bw_verdict_word)99), "unknown verdict");
    assert_string_equal(bw_verdict_text((bw_verdict_word)-1), "unknown verdict");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_is_none_has_a_text),
        cmocka_unit_test_setup(a_block_whose_loss_falls_has_learnt, fresh),
        cmocka_unit_test_setup(embeddings_in_one_point_have_collapsed, fresh),
        cmocka_unit_test_setup(embeddings_in_a_few_of_many_directions_have_collapsed, fresh),
        cmocka_unit_test_setup(embeddings_that_lost_directions_are_weak, fresh),
        cmocka_unit_test_setup(a_shared_mean_alone_is_no_collapse, fresh),
        cmocka_unit_test_setup(a_loss_that_stays_or_rises_did_not_learn, fresh),
        cmocka_unit_test_setup(a_loss_that_falls_a_little_is_weak, fresh),
        cmocka_unit_test_setup(channels_that_died_in_training_make_a_block_weak, fresh),
        cmocka_unit_test_setup(too_few_steps_are_not_judged, fresh),
        cmocka_unit_test_setup(a_block_is_judged_by_the_steps_in_which_it_was_trained, fresh),
        cmocka_unit_test_setup(the_ends_of_a_long_run_are_found_among_a_hundred_thousand_steps, fresh),
        cmocka_unit_test_setup(a_torn_last_line_is_left_out_and_a_damaged_one_named, fresh),
        cmocka_unit_test_setup(a_warning_says_block_reason_and_what_to_try, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
