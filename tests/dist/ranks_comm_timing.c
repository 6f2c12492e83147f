/* What `bench comm` measures. */
#include "dist/comm_timing.h"
#include "on_ranks.h"
#include <math.h>

static void every_operation_takes_time_and_all_ranks_see_the_same(void **state)
{
    (void)state;
    for (int k = 0; k < BW_COMM_OPERATIONS; k++) {
        bw_comm_timing t;
        double sum;
        CHECK_OK(bw__comm_time(&t, ranks, (bw_comm_operation)k, 4096, 3));
        assert_true(t.seconds > 0.0 && t.seconds < 10.0);
        assert_int_equal(t.repeats, 3);
        sum = t.seconds;
        CHECK_OK(bw__comm_sum_f64(ranks, &sum, 1));
        assert_true(fabs(sum / bw_comm_size(ranks) - t.seconds) <= 1e-12 * t.seconds);
    }
}

static void sum_of_large_values_takes_longer(void **state)
{
    (void)state;
    bw_comm_timing small, large;
    CHECK_OK(bw__comm_time(&small, ranks, BW_COMM_TIME_SUM_F32, 64, 5));
    CHECK_OK(bw__comm_time(&large, ranks, BW_COMM_TIME_SUM_F32, 1 << 24, 5));
    assert_true(large.seconds > small.seconds);
}

static void ranks_send_at_least_what_the_ring_sends(void **state)
{
    (void)state;
    assert_true(bw__comm_least_sent(BW_COMM_TIME_SUM_F32, 1000, 4) == 1500.0);
    assert_true(bw__comm_least_sent(BW_COMM_TIME_SUM_F64, 1000, 2) == 1000.0);
    assert_true(bw__comm_least_sent(BW_COMM_TIME_GATHER, 1000, 4) == 3000.0);
    assert_true(bw__comm_least_sent(BW_COMM_TIME_SEND, 1000, 4) == 1000.0);
}

static void one_rank_has_nobody_to_talk_to(void **state)
{
    (void)state;
    bw_comm *alone = NULL;
    bw_comm_timing t;
    CHECK_OK(bw__comm_split(&alone, ranks, bw_comm_rank(ranks), 0));
    assert_int_equal(bw__comm_time(&t, alone, BW_COMM_TIME_SEND, 8, 1), BW_EINVAL);
    bw__comm_free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_takes_time_and_all_ranks_see_the_same),
        cmocka_unit_test(sum_of_large_values_takes_longer),
        cmocka_unit_test(ranks_send_at_least_what_the_ring_sends),
        cmocka_unit_test(one_rank_has_nobody_to_talk_to),
    };
    return RANKS_MAIN(tests);
}
