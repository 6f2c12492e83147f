/* Rows of blocks on several ranks: the same bits as one rank, whatever is trained; and with ranks that share
 * a batch the same as without rows. */
#include "base/error.h"
#include "on_ranks.h"
#include "train/own_rules.h"
#include "train/training.h"
#include <math.h>
#include <stdio.h>

enum { STEPS = 4, MOST_SETTINGS = 6 };

static bw_config tiny_config(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=8",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=12",
                                        "projector.widths=[24,24,16]",
                                        "model.zero_init_residual=false",
                                        "threads=1",
                                        "optimizer.name=sgd",
                                        "optimizer.lr=0.5",
                                        "train.epochs=100",
                                        "health.every=2",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; settings && *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* A run of STEPS steps of this rank of a grid. */
typedef struct part_of_run {
    bw_network *net;
    bw_trainer *trainer;
    bw_step step[STEPS];
} part_of_run;

/* This rank's images of the batch of a step, which differs from step to step. */
static void deal(float *views, int *labels, const bw_config *c, const bw_grid *g, int64_t step)
{
    const int64_t pixels = c->data.image_size * c->data.image_size * 3, batch = c->train.batch;
    const int64_t images = batch / g->data, part = batch / c->train.split, own = part / g->data;
    float *all = malloc((size_t)(BW_VIEWS * batch * pixels) * sizeof *all);
    assert_non_null(all);
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, (uint64_t)step, 0, 0);
    bw__rng_normal_f32(&r, all, BW_VIEWS * batch * pixels);
    for (int64_t i = 0; i < images; i++) {
        const int64_t from = i / own * part + g->place * own + i % own;
        labels[i] = (int)((7 * from + step) % 5) - (c->loss.name != BW_LOSS_CROSS_ENTROPY && from == 0);
        for (int v = 0; v < BW_VIEWS; v++)
            memcpy(views + (v * images + i) * pixels, all + (v * batch + from) * pixels,
                   (size_t)pixels * sizeof *views);
    }
    free(all);
}

/* The first row has the images, the others get what they need from the row before. */
static bw_status take_step(part_of_run *run, const bw_config *c, const bw_grid *g, int i)
{
    const int64_t images = bw__grid_images(g, c);
    float *views = NULL;
    int *labels = NULL;
    if (g->row == 0) {
        views =
            malloc((size_t)(BW_VIEWS * images * c->data.image_size * c->data.image_size * 3) * sizeof *views);
        labels = malloc((size_t)images * sizeof *labels);
        assert_non_null(views);
        assert_non_null(labels);
        deal(views, labels, c, g, i);
    }
    bw_status st = bw_trainer_step(run->trainer, &run->step[i], views, labels);
    free(views);
    free(labels);
    return st;
}

static part_of_run begin_run(const bw_config *c, const bw_grid *g)
{
    part_of_run run = { 0 };
    CHECK_OK(bw__network_create_share(&run.net, c, bw__grid_first(g), bw__grid_end(g)));
    CHECK_OK(bw__trainer_create_on(&run.trainer, run.net, STEPS_PER_EPOCH, g));
    return run;
}

static part_of_run whole_run(const bw_config *c, const bw_grid *g)
{
    part_of_run run = begin_run(c, g);
    for (int i = 0; i < STEPS; i++)
        CHECK_OK(take_step(&run, c, g, i));
    return run;
}

static void drop_run(part_of_run *run)
{
    bw_trainer_free(run->trainer);
    bw_network_free(run->net);
}

static bw_grid grid_of(bw_config *c, bw_comm *comm, int data, int rows)
{
    bw_grid g;
    c->parallel.data = data;
    c->parallel.block = rows;
    CHECK_OK(bw__grid_create(&g, comm, c));
    return g;
}

/* --- the same bits --- */

static void check_numbers(const char *what, const double *got, const double *want, int k, int step)
{
    if (memcmp(&got[k], &want[k], sizeof *got) != 0)
        fail_msg("rank %d: %s of block %d in step %d is %.17g, alone %.17g", bw_comm_rank(ranks), what, k + 1,
                 step + 1, got[k], want[k]);
}

static const double *term(const bw_step *s, const char *name)
{
    for (int i = 0; i < s->terms; i++)
        if (strcmp(s->term_name[i], name) == 0) return s->term[i];
    fail_msg("no term %s", name);
    return NULL;
}

/* Own blocks have the numbers of `want`, others none. */
static void check_step(const bw_step *got, const bw_step *want, const bw_grid *g, int i)
{
    assert_int_equal(got->step, want->step);
    assert_int_equal(got->has_health, want->has_health);
    assert_int_equal(got->has_probe, want->has_probe);
    check_numbers("lr", &got->lr, &want->lr, 0, i);
    for (int k = 0; k < want->blocks; k++) {
        if (k < bw__grid_first(g) || k >= bw__grid_end(g)) {
            assert_true(isnan(got->loss[k]));
            continue;
        }
        check_numbers("loss", got->loss, want->loss, k, i);
        check_numbers("grad_norm", got->grad_norm, want->grad_norm, k, i);
        check_numbers("embedding_std", got->embedding_std, want->embedding_std, k, i);
        check_numbers("effective_rank", got->effective_rank, want->effective_rank, k, i);
        check_numbers("dead_channels", got->dead_channels, want->dead_channels, k, i);
        check_numbers("probe_top1_train", got->probe_top1_train, want->probe_top1_train, k, i);
        for (int j = 0; j < got->terms; j++)
            check_numbers(got->term_name[j], got->term[j], term(want, got->term_name[j]), k, i);
    }
}

static void check_block(const bw_params *got, const bw_params *want, int k)
{
    assert_int_equal(got->total, want->total);
    if (memcmp(got->values, want->values, (size_t)want->total * sizeof(float)) != 0)
        fail_msg("rank %d: values of block %d differ", bw_comm_rank(ranks), k + 1);
    if (want->momenta)
        assert_memory_equal(got->momenta, want->momenta, (size_t)want->trained * sizeof(float));
    if (want->squares)
        assert_memory_equal(got->squares, want->squares, (size_t)want->trained * sizeof(float));
    assert_int_equal(got->batches_tracked, want->batches_tracked);
}

static void check_same(const part_of_run *got, const part_of_run *want, const bw_grid *g)
{
    for (int i = 0; i < STEPS; i++)
        check_step(&got->step[i], &want->step[i], g, i);
    for (int k = bw__grid_first(g); k < bw__grid_end(g); k++) {
        check_block(&got->net->params[k], &want->net->params[k], k);
        if (!want->trainer->probe || want->trainer->probe->block[k].count == 0) continue;
        const bw_online_classifier *a = &got->trainer->probe->block[k], *b = &want->trainer->probe->block[k];
        assert_memory_equal(a->values, b->values, (size_t)b->count * sizeof(float));
        assert_memory_equal(a->momenta, b->momenta, (size_t)b->count * sizeof(float));
    }
}

static const char *const every_case[][MOST_SETTINGS] = {
    { "loss.name=barlow-twins" },
    { "noise.kind=all" },
    { "noise.kind=hw", "optimizer.name=lars" },
    { "loss.name=vicreg", "optimizer.name=adamw", "optimizer.lr=0.01" },
    { "loss.name=simclr" },
    { "loss.name=cross-entropy", "loss.classes=5" },
    { "loss.name=cross-entropy", "loss.classes=5", "train.split=3", "noise.kind=all" },
    { "train.split=2", "train.recompute=true", "noise.kind=c" },
    { "probe.every=1", "loss.classes=5" },
    { "probe.every=1", "loss.classes=5", "train.split=3" },
    { "blocks[2].loss.name=vicreg", "blocks[3].head.pool=gsp", "blocks[4].noise.kind=all" },
    { "model.cuts=units", "model.arch=resnet34", "noise.kind=hw" },
    { "dtype=bf16", "noise.kind=all" },
    { "loss.name=custom", "loss.rule=own-push", "blocks[3].loss.rule=own-barlow" },
};

static void rows_have_the_bits_of_one_rank(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_case / sizeof *every_case; i++) {
        bw_config c = tiny_config(every_case[i]);
        const bw_grid alone = bw__grid_alone();
        part_of_run want = whole_run(&c, &alone);
        bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
        part_of_run got = whole_run(&c, &g);
        check_same(&got, &want, &g);
        drop_run(&got);
        drop_run(&want);
        bw__grid_destroy(&g);
    }
}

static void frozen_blocks_pass_on_and_those_behind_the_last_are_nobodys(void **state)
{
    (void)state;
    const char *const settings[] = { "model.cuts=units", "train.blocks=[3,5,6]", NULL };
    bw_config c = tiny_config(settings);
    const bw_grid alone = bw__grid_alone();
    part_of_run want = whole_run(&c, &alone);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    assert_int_equal(g.begin[g.rows], 6); /* of 8 */
    part_of_run got = whole_run(&c, &g);
    check_same(&got, &want, &g);
    drop_run(&got);
    drop_run(&want);
    bw__grid_destroy(&g);
}

static void more_rows_than_blocks_are_refused(void **state)
{
    (void)state;
    char one[64];
    (void)snprintf(one, sizeof one, "train.blocks=[%d]", bw_comm_size(ranks) - 1);
    const char *const settings[] = { one, NULL };
    bw_config c = tiny_config(settings);
    bw_grid g;
    c.parallel.block = bw_comm_size(ranks);
    c.parallel.data = 1;
    const bool first = bw_comm_rank(ranks) == 0; /* it has the message */
    assert_int_equal(bw__grid_create(&g, ranks, &c), first ? BW_EINVAL : BW_EREMOTE);
    if (first) assert_non_null(strstr(bw_last_error(), "train.blocks"));
}

/* --- with ranks that share a batch --- */

static void grid_has_the_bits_of_its_data_ranks_alone(void **state)
{
    (void)state;
    const char *const cases[][MOST_SETTINGS] = {
        { "noise.kind=all" },
        { "loss.name=cross-entropy", "loss.classes=5", "train.split=3" },
        { "probe.every=1", "loss.classes=5", "optimizer.name=lars" },
        { "loss.name=custom", "loss.rule=own-push", "train.split=3" },
    };
    if (bw_comm_size(ranks) != 4) return;
    bw_comm *half = NULL;
    CHECK_OK(bw__comm_split(&half, ranks, bw_comm_rank(ranks) / 2, bw_comm_rank(ranks)));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bw_config c = tiny_config(cases[i]);
        bw_grid two = grid_of(&c, half, 2, 1);
        part_of_run want = whole_run(&c, &two);
        bw_grid g = grid_of(&c, ranks, 2, 2);
        assert_int_equal(g.place, two.place);
        part_of_run got = whole_run(&c, &g);
        check_same(&got, &want, &g);
        drop_run(&got);
        drop_run(&want);
        bw__grid_destroy(&g);
        bw__grid_destroy(&two);
    }
    bw__comm_free(half);
}

static void grid_has_the_numbers_of_one_rank(void **state)
{
    (void)state;
    const char *const settings[] = { "noise.kind=hw", NULL };
    if (bw_comm_size(ranks) != 4) return;
    bw_config c = tiny_config(settings);
    const bw_grid alone = bw__grid_alone();
    part_of_run want = whole_run(&c, &alone);
    bw_grid g = grid_of(&c, ranks, 2, 2);
    part_of_run got = whole_run(&c, &g);
    for (int k = bw__grid_first(&g); k < bw__grid_end(&g); k++) {
        const bw_params *p = &got.net->params[k], *q = &want.net->params[k];
        double loss = want.step[STEPS - 1].loss[k];
        assert_true(fabs(got.step[STEPS - 1].loss[k] - loss) <= 1e-4 * fabs(loss));
        assert_true(ranks_difference(p->values, q->values, q->total) <= 1e-4);
    }
    drop_run(&got);
    drop_run(&want);
    bw__grid_destroy(&g);
}

/* --- the queue --- */

/* The last row stands still until the first one has done as many steps as the queues hold. */
static void first_row_runs_ahead_of_the_last(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    part_of_run run = begin_run(&c, &g);
    const int last = g.rows - 1;
    char token = 0;
    if (g.row == last) CHECK_OK(bw__comm_receive(ranks, &token, 1, 0, 1));
    for (int i = 0; i < STEPS; i++)
        CHECK_OK(take_step(&run, &c, &g, i));
    if (g.row == 0) CHECK_OK(bw__comm_send(ranks, &token, 1, last, 1));
    drop_run(&run);
    bw__grid_destroy(&g);
}

/* Block k has been run forward here, in the row behind. */
static void tell_row_before(void *user, int k)
{
    const bw_grid *g = user;
    char token = 0;
    if (k == bw__grid_first(g) && g->row > 0)
        CHECK_OK(bw__comm_send(ranks, &token, 1, bw_comm_rank(ranks) - g->data, 2));
}

static void wait_for_row_behind(void *user, int k, const float *grads)
{
    const bw_grid *g = user;
    char token = 0;
    (void)grads;
    if (k == bw__grid_end(g) - 1 && g->row < g->rows - 1)
        CHECK_OK(bw__comm_receive(ranks, &token, 1, bw_comm_rank(ranks) + g->data, 2));
}

/* A row does not go on behind its own backward pass before the next one has done its forward pass of the same
 * step: were the output sent later, all would wait for ever. */
static void output_is_on_its_way_before_the_backward_pass_ends(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    part_of_run run = begin_run(&c, &g);
    run.trainer->on_forward = tell_row_before;
    run.trainer->on_grads = wait_for_row_behind;
    run.trainer->user = &g;
    for (int i = 0; i < STEPS; i++)
        CHECK_OK(take_step(&run, &c, &g, i));
    drop_run(&run);
    bw__grid_destroy(&g);
}

static void rows_keep_no_values_of_others(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    part_of_run run = begin_run(&c, &g);
    for (int k = 0; k < run.net->blocks; k++) {
        const bool own = k >= bw__grid_first(&g) && k < bw__grid_end(&g);
        assert_int_equal(run.net->params[k].values != NULL, own);
        assert_int_equal(run.net->params[k].momenta != NULL, own);
        assert_int_equal(run.trainer->blocks[k].loss != NULL, own);
    }
    drop_run(&run);
    bw__grid_destroy(&g);
}

static void measured_shares_are_the_same_on_all_ranks(void **state)
{
    (void)state;
    const char *const settings[] = { "model.cuts=units", NULL };
    bw_config c = tiny_config(settings);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    CHECK_OK(bw__grid_balance(&g, &c));
    int64_t most[BW_MAX_BLOCKS], least[BW_MAX_BLOCKS];
    for (int r = 0; r <= g.rows; r++) {
        most[r] = g.begin[r];
        least[r] = -g.begin[r];
        assert_true(r == 0 || g.begin[r] > g.begin[r - 1]);
    }
    CHECK_OK(bw__comm_max_i64(ranks, most, g.rows + 1));
    CHECK_OK(bw__comm_max_i64(ranks, least, g.rows + 1));
    for (int r = 0; r <= g.rows; r++)
        assert_true(most[r] == -least[r]);
    assert_int_equal(g.begin[0], 0);
    assert_int_equal(g.begin[g.rows], 8);
    bw__grid_destroy(&g);
}

/* The last row diverges in its second step; every other one returns, though it would have gone on. */
static void a_row_that_fails_ends_the_others(void **state)
{
    (void)state;
    bw_config c = tiny_config(NULL);
    bw_grid g = grid_of(&c, ranks, 1, bw_comm_size(ranks));
    part_of_run run = begin_run(&c, &g);
    bw_status st = BW_OK;
    for (int i = 0; i < 1000 && st == BW_OK; i++) {
        if (i == 1 && g.row == g.rows - 1) run.net->params[bw__grid_first(&g)].values[0] = NAN;
        st = take_step(&run, &c, &g, i % STEPS);
    }
    assert_int_equal(st, g.row == g.rows - 1 ? BW_ENONFINITE : BW_EREMOTE);
    drop_run(&run);
    bw__grid_destroy(&g);
}

int main(void)
{
    static own_barlow barlow = { .lambda = 0.0051 };
    const bw_rule push = own_push_rule(), own = own_barlow_rule(&barlow);
    (void)setenv(BW_BF16_VARIABLE, "emulate", 1);
    if (bw_rule_register(&push) != BW_OK || bw_rule_register(&own) != BW_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_the_bits_of_one_rank),
        cmocka_unit_test(frozen_blocks_pass_on_and_those_behind_the_last_are_nobodys),
        cmocka_unit_test(grid_has_the_bits_of_its_data_ranks_alone),
        cmocka_unit_test(grid_has_the_numbers_of_one_rank),
        cmocka_unit_test(first_row_runs_ahead_of_the_last),
        cmocka_unit_test(output_is_on_its_way_before_the_backward_pass_ends),
        cmocka_unit_test(rows_keep_no_values_of_others),
        cmocka_unit_test(measured_shares_are_the_same_on_all_ranks),
        cmocka_unit_test(more_rows_than_blocks_are_refused),
        cmocka_unit_test(a_row_that_fails_ends_the_others),
    };
    return RANKS_MAIN(tests);
}
