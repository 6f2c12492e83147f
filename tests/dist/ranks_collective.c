#include "base/clock.h"
#include "base/error.h"
#include "dist/comm_progress.h"
#include "on_ranks.h"

static int rank, size;

static void sums_are_of_all_ranks(void **state)
{
    (void)state;
    enum { N = 1001 };
    float f[N];
    double d[3] = { rank, 1.0, 0.5 };
    int64_t i[2] = { rank, -rank };
    for (int k = 0; k < N; k++)
        f[k] = (float)(k + rank);
    CHECK_OK(bw__comm_sum_f32(ranks, f, N));
    CHECK_OK(bw__comm_sum_f64(ranks, d, 3));
    CHECK_OK(bw__comm_max_i64(ranks, i, 2));
    for (int k = 0; k < N; k++)
        assert_true(f[k] == (float)(size * k + size * (size - 1) / 2));
    assert_true(d[0] == size * (size - 1) / 2.0 && d[1] == size && d[2] == size / 2.0);
    assert_true(i[0] == size - 1 && i[1] == 0);
}

static void gather_keeps_the_order_of_ranks_and_broadcast_takes_the_root(void **state)
{
    (void)state;
    int own[2] = { rank, 10 * rank }, all[64];
    CHECK_OK(bw__comm_gather(ranks, all, own, sizeof own));
    for (int r = 0; r < size; r++)
        assert_true(all[2 * r] == r && all[2 * r + 1] == 10 * r);
    CHECK_OK(bw__comm_broadcast(ranks, own, sizeof own, size - 1));
    assert_true(own[0] == size - 1 && own[1] == 10 * (size - 1));
}

static void sum_goes_on_beside_other_collectives(void **state)
{
    (void)state;
    enum { N = 300000 };
    static float values[N];
    bw_comm_work work = { 0 };
    for (int round = 0; round < 3; round++) {
        double d = 1.0;
        for (int k = 0; k < N; k++)
            values[k] = (float)(rank + round);
        CHECK_OK(bw__comm_begin_sum_f32(&work, ranks, values, N));
        CHECK_OK(bw__comm_sum_f64(ranks, &d, 1));
        CHECK_OK(bw__comm_finish(&work));
        CHECK_OK(bw__comm_finish(&work)); /* nothing is left to wait for */
        assert_true(d == size);
        for (int k = 0; k < N; k++)
            assert_true(values[k] == (float)(size * (size - 1) / 2 + size * round));
    }
    bw__comm_work_free(&work);
}

/* Seconds that the end of a sum waits for after the ranks have computed for a while, without a call of MPI.
 */
static double wait_behind(double seconds, bool asked)
{
    enum { N = 1 << 22 };
    static float values[N];
    bw_comm_work work = { 0 };
    bw__progress_use(asked);
    CHECK_OK(bw__comm_barrier(ranks));
    CHECK_OK(bw__comm_begin_sum_f32(&work, ranks, values, N));
    double end = bw__now_s() + seconds, before = bw__comm_count(BW_COMM_WORK).seconds;
    while (bw__now_s() < end) {
    }
    CHECK_OK(bw__comm_finish(&work));
    double waited = bw__comm_count(BW_COMM_WORK).seconds - before;
    bw__comm_work_free(&work);
    bw__progress_use(true);
    CHECK_OK(bw__comm_sum_f64(ranks, &waited, 1));
    return waited;
}

static void sum_goes_on_while_nobody_calls_mpi(void **state)
{
    (void)state;
    enum { TRIES = 20 }; /* of a machine that others use too */
    double asked = 1.0, left = 0.0;
    if (size > 2) return; /* more ranks than processors compute: that would measure the scheduler */
    for (int i = 0; i < TRIES && asked > 0.5 * left; i++) {
        left = wait_behind(0.2, false);
        asked = wait_behind(0.2, true);
    }
    if (rank == 0) print_message("waited %g s where nothing asked, %g s with the thread\n", left, asked);
    assert_true(asked <= 0.5 * left);
}

static void parts_have_their_own_ranks(void **state)
{
    (void)state;
    bw_comm *half = NULL, *machine = NULL;
    double one = 1.0;
    CHECK_OK(bw__comm_split(&half, ranks, rank % 2, -rank));
    assert_int_equal(bw_comm_size(half), size / 2);
    assert_int_equal(bw_comm_rank(half), (size - 1 - rank) / 2); /* by the key, backwards */
    CHECK_OK(bw__comm_sum_f64(half, &one, 1));
    assert_true(one == size / 2);
    bw__comm_free(half);
    CHECK_OK(bw__comm_split_by_machine(&machine, ranks));
    assert_int_equal(bw_comm_size(machine), size);
    bw__comm_free(machine);
}

static void messages_go_from_rank_to_rank(void **state)
{
    (void)state;
    double token = 100.0 + rank, got = 0.0;
    if (rank % 2 == 0) {
        CHECK_OK(bw__comm_send(ranks, &token, sizeof token, rank + 1, 7));
    } else {
        CHECK_OK(bw__comm_receive(ranks, &got, sizeof got, rank - 1, 7));
        assert_true(got == 100.0 + rank - 1);
    }
}

/* The last: from here on all know that the run has failed. */
static void failure_of_one_rank_is_known_to_all(void **state)
{
    (void)state;
    CHECK_OK(bw__comm_agree(ranks, BW_OK));
    assert_false(bw_comm_all_failed(ranks));
    bw_status own = rank == size - 1 ? bw_fail(BW_EDATA, "no such file") : BW_OK;
    bw_status st = bw__comm_agree(ranks, own);
    assert_int_equal(st, rank == size - 1 ? BW_EDATA : BW_EREMOTE);
    assert_true(bw_comm_all_failed(ranks));
    if (rank != size - 1) assert_int_equal(bw_comm_remote_status(ranks), BW_EDATA);
}

static void ranks_are_those_that_were_launched(void **state)
{
    (void)state;
    rank = bw_comm_rank(ranks);
    size = bw_comm_size(ranks);
    assert_int_equal(size, bw_launched_ranks());
    assert_true(size >= 2 && rank >= 0 && rank < size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_that_were_launched),
        cmocka_unit_test(sums_are_of_all_ranks),
        cmocka_unit_test(gather_keeps_the_order_of_ranks_and_broadcast_takes_the_root),
        cmocka_unit_test(sum_goes_on_beside_other_collectives),
        cmocka_unit_test(sum_goes_on_while_nobody_calls_mpi),
        cmocka_unit_test(parts_have_their_own_ranks),
        cmocka_unit_test(messages_go_from_rank_to_rank),
        cmocka_unit_test(failure_of_one_rank_is_known_to_all),
    };
    return RANKS_MAIN(tests);
}
