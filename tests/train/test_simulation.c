/* Steps on nodes that are not there: cases that can be worked out by hand. */
#include "check.h"
#include "train/simulation.h"
#include <math.h>
#include <string.h>

/* 1000 bytes a second, a tenth of a second a message. */
static const bw_link LINK = { 1000.0, 0.1 };
static const bw_link NO_NETWORK = { (double)INFINITY, 0.0 };

static void is(double got, double want)
{
    CHECK_CLOSE(&got, &want, 1, 1e-9, 1e-12);
}

static void messages_take_delay_and_bytes(void **state)
{
    (void)state;
    is(bw__link_message_s(&LINK, 500.0), 0.1 + 0.5);
    /* Halves to one other, and back: two messages of half the bytes. */
    is(bw__link_sum_s(&LINK, 2, 1000.0), 2 * 0.1 + 1.0);
    /* 500 and 250 bytes, and back. */
    is(bw__link_sum_s(&LINK, 4, 1000.0), 4 * 0.1 + 1.5);
    is(bw__link_sum_s(&LINK, 1024, 1024.0), 20 * 0.1 + 2.046);
    /* Own bytes, then those of both. */
    is(bw__link_gather_s(&LINK, 4, 100.0), 2 * 0.1 + 0.3);
    is(bw__link_sum_s(&LINK, 1, 1000.0), 0.0);
    is(bw__link_gather_s(&LINK, 1, 1000.0), 0.0);
    is(bw__link_sum_s(&NO_NETWORK, 8, 1000.0), 0.0);
}

/* Forward 1 s, backward of head 2 s, of trunk 4 s, update 0.5 s. */
static bw_timed_block plain_block(void)
{
    return (bw_timed_block){
        .learns = true, .overlaps = true, .forward_s = 1.0, .head_s = 2.0, .trunk_s = 4.0, .update_s = 0.5
    };
}

static void computing_is_all_where_nothing_is_sent(void **state)
{
    (void)state;
    bw_timed_block block[2] = { plain_block(), plain_block() };
    bw_timed_row row;
    bw__time_row(&row, block, 2, 8, 0, false, &LINK);
    is(row.step_s, 15.0);
    is(row.compute_s, 15.0);
    is(row.statistics_s + row.gradients_s + row.link_s + row.sent_bytes, 0.0);
}

static void statistics_are_waited_for(void **state)
{
    (void)state;
    bw_timed_block block = plain_block();
    bw_timed_row row;
    block.sent.forward = (bw_messages){ .calls = 3, .bytes = 600 };
    block.sent.backward = (bw_messages){ .calls = 6, .bytes = 300 };
    block.sent.loss = (bw_messages){ .calls = 1, .bytes = 100 };
    bw__time_row(&row, &block, 1, 2, 0, false, &LINK);
    /* Ten sums with two delays each, and 1000 bytes of which each of two ranks sends as many. */
    is(row.statistics_s, 10 * 0.2 + 1.0);
    is(row.step_s, 7.5 + 3.0);
    is(row.sent_bytes, 1000.0);
    block.sent.gathered = (bw_messages){ .calls = 2, .bytes = 400 };
    bw__time_row(&row, &block, 1, 2, 0, false, &LINK);
    is(row.statistics_s, 3.0 + 2 * 0.1 + 0.4);
}

/* The same sums in places: what is computed between them does not matter where nothing is on the link. */
static void sums_are_spread_over_a_pass(void **state)
{
    (void)state;
    bw_timed_block block = plain_block();
    bw_timed_row row;
    block.sent.backward = (bw_messages){ .calls = 5, .bytes = 500 };
    block.head_sums = (bw_messages){ .calls = 1, .bytes = 100 };
    /* The head's gradients, 3.2 s from the end of its pass on, with 1.2 s before. Of the trunk's four
     * quarters of 1 s the first is beside them, and the sum behind it waits for 2.2 s. */
    block.sent.gradients = (bw_messages){ .calls = 1, .bytes = 3000 };
    bw__time_row(&row, &block, 1, 2, 0, false, &LINK);
    is(row.statistics_s, 5 * 0.3 + 2.2);
    is(row.gradients_s, 0.0);
    is(row.step_s, 7.5 + 1.5 + 2.2);
}

/* Gradients of 2 ranks: bytes / rate + 0.2. Head 1800 bytes: 2 s, beside the 4 s of the trunk's backward.
 * Trunk 800 bytes: 1 s, beside the next block's forward of 1 s. */
static void gradients_beside_the_next_block_cost_nothing(void **state)
{
    (void)state;
    bw_timed_block block[2] = { plain_block(), plain_block() };
    bw_timed_row row;
    for (int k = 0; k < 2; k++) {
        block[k].sent.gradients = (bw_messages){ .calls = 2, .bytes = 2600 };
        block[k].trunk_bytes = 800;
    }
    bw__time_row(&row, block, 2, 2, 0, false, &LINK);
    is(row.gradients_s, 1.0); /* of the last block alone */
    is(row.step_s, 16.0);
    is(row.link_s, 5.2);
    /* Nothing is beside them in parts of a batch. */
    block[0].overlaps = block[1].overlaps = false;
    bw__time_row(&row, block, 2, 2, 0, false, &LINK);
    is(row.gradients_s, 2.0);
}

/* Behind them on the link: the head's sum of 5 s is not done when the trunk's backward of 4 s is. */
static void gradients_that_are_late_are_waited_for(void **state)
{
    (void)state;
    bw_timed_block block[2] = { plain_block(), plain_block() };
    bw_timed_row row;
    block[0].sent.gradients = (bw_messages){ .calls = 2, .bytes = 4800 + 1800 };
    block[0].trunk_bytes = 1800;
    bw__time_row(&row, block, 2, 2, 0, false, &LINK);
    is(row.gradients_s, 5.0 - 4.0 + 2.0 - 1.0);
    /* A sum of statistics of 0.5 s at the end of the next forward pass comes behind them. */
    block[1].sent.forward = (bw_messages){ .calls = 1, .bytes = 300 };
    bw__time_row(&row, block, 2, 2, 0, false, &LINK);
    is(row.statistics_s, 2.0 + 0.5);
    is(row.gradients_s, 0.0);
}

static void a_block_that_does_not_learn_only_goes_forward(void **state)
{
    (void)state;
    bw_timed_block block[2] = { { .forward_s = 1.0 }, plain_block() };
    bw_timed_row row;
    bw__time_row(&row, block, 2, 2, 0, false, &LINK);
    is(row.step_s, 8.5);
}

/* 9000 bytes to the next row take longer than 7.5 s of computing; coming in they do not add to what goes out.
 */
static void a_row_is_no_quicker_than_its_link(void **state)
{
    (void)state;
    bw_timed_block block = plain_block();
    bw_timed_row row;
    block.sent.output = (bw_messages){ .calls = 1, .bytes = 9000 };
    bw__time_row(&row, &block, 1, 1, 0, true, &LINK);
    is(row.step_s, 9.0);
    is(row.sent_bytes, 9000.0);
    bw__time_row(&row, &block, 1, 1, 8000, true, &LINK);
    is(row.step_s, 9.0);
    bw__time_row(&row, &block, 1, 1, 8000, false, &LINK);
    is(row.step_s, 8.0);
    is(row.sent_bytes, 0.0);
    bw__time_row(&row, &block, 1, 1, 8000, true, &NO_NETWORK);
    is(row.step_s, 7.5);
}

/* --- of a network --- */

static bw_config config_of(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18", "model.width=8",
                                        "model.stem=cifar",    "data.image_size=16",
                                        "train.batch=64",      "projector.widths=[24,40,16]",
                                        "threads=1",           "train.epochs=4" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; settings && *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static bw_simulation *simulation_of(const char *const *settings, const bw_link *link)
{
    bw_simulation *s;
    bw_config c = config_of(settings);
    CHECK_OK(bw_simulation_create(&s, &c, link, 1.0));
    return s;
}

static double alone_s(const bw_simulation *s, int64_t images)
{
    double sum = 0.0;
    for (int k = 0; k < bw_simulation_blocks(s); k++)
        sum += bw_simulation_block_s(s, k, images);
    return sum;
}

static void one_node_computes_and_sends_nothing(void **state)
{
    (void)state;
    static const char *const settings[][2] = {
        { "train.order=simultaneous", NULL }, { "train.order=sequential", NULL },
        { "train.order=end-to-end", NULL },   { "train.split=4", NULL },
        { "train.recompute=true", NULL },     { "train.blocks=[2,3]", NULL }
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        bw_simulation *s = simulation_of(settings[i], &LINK);
        bw_simulated one, best;
        bw_config c = config_of(settings[i]);
        bw_plan plan;
        CHECK_OK(bw_simulation_grid(s, &one, 1, 1));
        CHECK_OK(bw_simulation_best(s, &best, 1));
        is(one.step_s, alone_s(s, 64));
        is(best.step_s, one.step_s);
        is(one.compute_s, one.step_s);
        is(one.statistics_s + one.gradients_s + one.link_s + one.sent_bytes, 0.0);
        /* As long as the plan says for the same operations. */
        CHECK_OK(bw_plan_make(&plan, &c));
        double want = bw_plan_step_s(&plan, 1.0);
        CHECK_CLOSE(&one.step_s, &want, 1, 0.02, 0);
        bw_simulation_free(s);
    }
}

static void without_a_network_nodes_share_the_work_evenly(void **state)
{
    (void)state;
    bw_simulation *s = simulation_of(NULL, &NO_NETWORK);
    bw_simulated one, grid;
    CHECK_OK(bw_simulation_grid(s, &one, 1, 1));
    for (int nodes = 2; nodes <= 32; nodes *= 2) {
        CHECK_OK(bw_simulation_grid(s, &grid, nodes, 1));
        is(grid.step_s, one.step_s / nodes);
        is(grid.statistics_s + grid.gradients_s, 0.0);
        assert_true(grid.sent_bytes > 0.0);
    }
    bw_simulation_free(s);
}

static void more_nodes_send_more_and_are_less_efficient(void **state)
{
    (void)state;
    const bw_link link = { 125e6, 50e-6 };
    bw_simulation *s = simulation_of(NULL, &link);
    bw_simulated one, grid, before = { 0 };
    CHECK_OK(bw_simulation_grid(s, &one, 1, 1));
    before = one;
    for (int nodes = 2; nodes <= 32; nodes *= 2) {
        CHECK_OK(bw_simulation_grid(s, &grid, nodes, 1));
        assert_true(grid.step_s > one.step_s / nodes);
        assert_true(grid.statistics_s > before.statistics_s);
        assert_true(grid.sent_bytes > before.sent_bytes);
        before = grid;
    }
    bw_simulation_free(s);
}

static void rows_are_as_quick_as_the_slowest(void **state)
{
    (void)state;
    bw_simulation *s = simulation_of(NULL, &NO_NETWORK);
    bw_simulated grid;
    CHECK_OK(bw_simulation_grid(s, &grid, 1, 4));
    double slowest = 0.0;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(grid.begin[k], k);
        is(grid.row_s[k], bw_simulation_block_s(s, k, 64));
        if (grid.row_s[k] > slowest) slowest = grid.row_s[k];
    }
    is(grid.step_s, slowest);
    is(grid.row_s[grid.slowest], slowest);
    /* Two rows: all blocks, each once, and not the first alone against three. */
    CHECK_OK(bw_simulation_grid(s, &grid, 1, 2));
    is(grid.row_s[0] + grid.row_s[1], alone_s(s, 64));
    assert_true(grid.step_s < 0.75 * alone_s(s, 64));
    assert_int_equal(grid.begin[0], 0);
    assert_int_equal(grid.begin[2], 4);
    bw_simulation_free(s);
}

/* A step where the slow link has 16 x 16 x 8 floats of both views of 64 images to carry. */
static void rows_wait_for_activations_on_a_slow_link(void **state)
{
    (void)state;
    bw_simulation *s = simulation_of(NULL, &(bw_link){ 1e3, 0.0 });
    bw_simulated grid;
    CHECK_OK(bw_simulation_grid(s, &grid, 1, 4));
    double want = 2 * 64 * 16 * 16 * 8 * 4 / 1e3; /* and the frames around them */
    assert_true(grid.step_s > 1.03 * want && grid.step_s < 1.08 * want);
    assert_int_equal(grid.slowest, 0);
    bw_simulation_free(s);
}

static void the_best_grid_is_the_quickest(void **state)
{
    (void)state;
    const bw_link link = { 12.5e6, 1e-3 };
    bw_simulation *s = simulation_of(NULL, &link);
    bw_simulated grid, best;
    double quickest = (double)INFINITY;
    CHECK_OK(bw_simulation_best(s, &best, 8));
    for (int rows = 1; rows <= 4; rows *= 2) {
        CHECK_OK(bw_simulation_grid(s, &grid, 8 / rows, rows));
        quickest = fmin(quickest, grid.step_s);
    }
    is(best.step_s, quickest);
    assert_int_equal(best.data * best.rows, 8);
    bw_simulation_free(s);
}

static void what_a_run_would_refuse_is_refused(void **state)
{
    (void)state;
    bw_simulation *s = simulation_of(NULL, &LINK);
    bw_simulated grid;
    bw_config c = config_of(NULL);
    assert_int_equal(bw_simulation_grid(s, &grid, 5, 1), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "take a multiple of 5"));
    CHECK_OK(bw_simulation_grid(s, &grid, 64, 1)); /* an image each */
    assert_int_equal(bw_simulation_grid(s, &grid, 1, 5), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "only 4 blocks"));
    assert_int_equal(bw_simulation_best(s, &grid, 7), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "7 nodes"));
    const int none[] = { -1, bw_simulation_blocks(s), 99 };
    for (int i = 0; i < 3; i++)
        is(bw_simulation_block_s(s, none[i], 8), 0.0);
    bw_simulation_free(s);
    assert_int_equal(bw_simulation_create(&s, &c, &(bw_link){ 0.0, 0.1 }, 1.0), BW_EINVAL);
    assert_int_equal(bw_simulation_create(&s, &c, &(bw_link){ 1.0, -0.1 }, 1.0), BW_EINVAL);
    assert_null(s);
}

static void measured_blocks_cost_time(void **state)
{
    (void)state;
    bw_config c = config_of(NULL);
    bw_simulation *s;
    bw_simulated grid;
    CHECK_OK(bw_simulation_create(&s, &c, &LINK, 0.0));
    assert_true(bw_simulation_measured_s(s) > 0.0);
    CHECK_OK(bw_simulation_grid(s, &grid, 1, 1));
    is(grid.step_s, alone_s(s, 64));
    assert_true(grid.step_s > 0.0);
    bw_simulation_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_take_delay_and_bytes),
        cmocka_unit_test(computing_is_all_where_nothing_is_sent),
        cmocka_unit_test(statistics_are_waited_for),
        cmocka_unit_test(sums_are_spread_over_a_pass),
        cmocka_unit_test(gradients_beside_the_next_block_cost_nothing),
        cmocka_unit_test(gradients_that_are_late_are_waited_for),
        cmocka_unit_test(a_block_that_does_not_learn_only_goes_forward),
        cmocka_unit_test(a_row_is_no_quicker_than_its_link),
        cmocka_unit_test(one_node_computes_and_sends_nothing),
        cmocka_unit_test(without_a_network_nodes_share_the_work_evenly),
        cmocka_unit_test(more_nodes_send_more_and_are_less_efficient),
        cmocka_unit_test(rows_are_as_quick_as_the_slowest),
        cmocka_unit_test(rows_wait_for_activations_on_a_slow_link),
        cmocka_unit_test(the_best_grid_is_the_quickest),
        cmocka_unit_test(what_a_run_would_refuse_is_refused),
        cmocka_unit_test(measured_blocks_cost_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
