/* The queue between two ranks: even ranks send to the odd ones behind them. */
#include "base/error.h"
#include "base/clock.h"
#include "dist/channel.h"
#include "on_ranks.h"
#include <string.h>
#include <time.h>

enum { WORDS = 5003, TAG = 3, DEPTH = 2 };

static bool sends(void)
{
    return bw_comm_rank(ranks) % 2 == 0;
}

static int other(void)
{
    return sends() ? bw_comm_rank(ranks) + 1 : bw_comm_rank(ranks) - 1;
}

static bw_channel *open_end(int depth, size_t bytes)
{
    bw_channel *c = NULL;
    CHECK_OK(sends() ? bw__channel_open_to(&c, ranks, other(), TAG, depth, bytes)
                     : bw__channel_open_from(&c, ranks, other(), TAG, depth, bytes));
    return c;
}

static void pause_ms(long ms)
{
    const struct timespec nap = { .tv_nsec = ms * 1000000L };
    (void)nanosleep(&nap, NULL);
}

static bw_status put_number(bw_channel *c, int64_t words, int number)
{
    void *slot = NULL;
    bw_status st = bw__channel_room(c, &slot);
    if (st != BW_OK) return st;
    for (int64_t w = 0; w < words; w++)
        ((int *)slot)[w] = number * 1000003 + (int)w;
    bw__channel_put(c);
    return BW_OK;
}

static bw_status get_number(bw_channel *c, int64_t words, int number)
{
    const void *message = NULL;
    bw_status st = bw__channel_get(c, &message, true);
    if (st != BW_OK) return st;
    for (int64_t w = 0; w < words; w++)
        if (((const int *)message)[w] != number * 1000003 + (int)w)
            fail_msg("message %d: word %lld is wrong", number, (long long)w);
    bw__channel_release(c);
    return BW_OK;
}

static void messages_come_whole_and_in_order(void **state)
{
    (void)state;
    for (int slow = 0; slow < 3; slow++) {
        bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
        for (int i = 0; i < 30; i++) {
            if (slow == (sends() ? 1 : 2)) pause_ms(3);
            CHECK_OK(sends() ? put_number(c, WORDS, i) : get_number(c, WORDS, i));
        }
        bw__channel_free(c);
    }
}

/* The receiver uses nothing until the sender says that all were put: without queues this never ends. */
static void sender_goes_on_while_the_receiver_is_busy(void **state)
{
    (void)state;
    bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
    char token = 0;
    if (sends()) {
        for (int i = 0; i < 2 * DEPTH; i++)
            CHECK_OK(put_number(c, WORDS, i));
        CHECK_OK(bw__comm_send(ranks, &token, 1, other(), 1));
    } else {
        CHECK_OK(bw__comm_receive(ranks, &token, 1, other(), 1));
        for (int i = 0; i < 2 * DEPTH; i++)
            CHECK_OK(get_number(c, WORDS, i));
    }
    bw__channel_free(c);
}

static void sender_waits_where_the_queue_is_full(void **state)
{
    (void)state;
    bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
    const long busy_ms = 200;
    double begin = bw__now_s();
    if (!sends()) pause_ms(busy_ms);
    for (int i = 0; i < 2 * DEPTH + 1; i++)
        CHECK_OK(sends() ? put_number(c, WORDS, i) : get_number(c, WORDS, i));
    /* One slot becomes free when a message is used; the one before it when that is taken in. */
    if (sends()) CHECK_OK(put_number(c, WORDS, 2 * DEPTH + 1));
    if (sends()) assert_true(bw__now_s() - begin > 0.5e-3 * (double)busy_ms);
    if (!sends()) CHECK_OK(get_number(c, WORDS, 2 * DEPTH + 1));
    bw__channel_free(c);
}

static void a_long_message_goes_in_pieces(void **state)
{
    (void)state;
    if (bw_comm_rank(ranks) >= 2) return; /* it takes memory */
    const int64_t words = (1 << 24) + 1001;
    bw_channel *c = open_end(1, (size_t)words * sizeof(int));
    for (int i = 0; i < 2; i++)
        CHECK_OK(sends() ? put_number(c, words, i) : get_number(c, words, i));
    bw__channel_free(c);
}

static void asking_without_waiting_finds_what_has_come(void **state)
{
    (void)state;
    bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
    char token = 0;
    if (sends()) {
        CHECK_OK(bw__comm_receive(ranks, &token, 1, other(), 1));
        CHECK_OK(put_number(c, WORDS, 8));
    } else {
        const void *message = &token;
        CHECK_OK(bw__channel_get(c, &message, false));
        assert_null(message);
        CHECK_OK(bw__comm_send(ranks, &token, 1, other(), 1));
        while (!message)
            CHECK_OK(bw__channel_get(c, &message, false));
        CHECK_OK(get_number(c, WORDS, 8));
    }
    bw__channel_free(c);
}

static void messages_are_counted(void **state)
{
    (void)state;
    const bw_comm_kind kind = sends() ? BW_COMM_SEND : BW_COMM_RECEIVE;
    bw_channel *c = open_end(DEPTH, 64 * sizeof(int));
    bw_comm_count before = bw__comm_count(kind);
    for (int i = 0; i < 5; i++)
        CHECK_OK(sends() ? put_number(c, 64, i) : get_number(c, 64, i));
    bw_comm_count after = bw__comm_count(kind);
    assert_int_equal(after.calls - before.calls, 5);
    assert_int_equal(after.bytes - before.bytes, 5 * 64 * (int64_t)sizeof(int));
    bw__channel_free(c);
}

static void sender_that_ends_leaves_its_messages(void **state)
{
    (void)state;
    bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
    if (sends()) {
        for (int i = 0; i < 2 * DEPTH; i++)
            CHECK_OK(put_number(c, WORDS, i));
    } else {
        pause_ms(20);
        for (int i = 0; i < 2 * DEPTH; i++)
            CHECK_OK(get_number(c, WORDS, i));
        assert_int_equal(get_number(c, WORDS, 0), BW_EREMOTE);
        assert_non_null(strstr(bw_last_error(), "has ended"));
    }
    bw__channel_free(c);
}

/* Closing takes far less than the patience with an end that is dead. */
static void check_quick(double begin)
{
    if (bw__now_s() - begin > 2.0) fail_msg("closing took %.1f s", bw__now_s() - begin);
}

static void sender_that_fails_tells_the_receiver(void **state)
{
    (void)state;
    bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
    double begin = bw__now_s();
    if (sends()) {
        CHECK_OK(put_number(c, WORDS, 0));
        CHECK_OK(put_number(c, WORDS, 1));
        bw__channel_close(c, BW_EDATA);
    } else {
        bw_status st = BW_OK;
        int i = 0;
        while (st == BW_OK)
            st = get_number(c, WORDS, i++);
        assert_int_equal(st, BW_EREMOTE);
        assert_int_equal(bw_comm_remote_status(ranks), BW_EDATA);
        assert_true(i <= 3);
    }
    bw__channel_free(c);
    check_quick(begin);
}

/* With its queue full and messages on the way. */
static void receiver_that_fails_tells_the_sender(void **state)
{
    (void)state;
    const int64_t words = 1 << 20; /* beyond what MPI keeps for a receiver that is not ready */
    for (int used = 0; used < 3; used++) {
        bw_channel *c = open_end(DEPTH, (size_t)words * sizeof(int));
        double begin = bw__now_s();
        if (sends()) {
            bw_status st = BW_OK;
            for (int i = 0; st == BW_OK; i++)
                st = put_number(c, words, i);
            assert_int_equal(st, BW_EREMOTE);
            assert_int_equal(bw_comm_remote_status(ranks), BW_ENONFINITE);
        } else {
            for (int i = 0; i < used; i++)
                CHECK_OK(get_number(c, words, i));
            pause_ms(10);
            bw__channel_close(c, BW_ENONFINITE);
        }
        bw__channel_free(c);
        check_quick(begin);
    }
}

static void both_ends_may_fail_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        bw_channel *c = open_end(DEPTH, WORDS * sizeof(int));
        double begin = bw__now_s();
        if (sends()) CHECK_OK(put_number(c, WORDS, 0));
        bw__channel_close(c, BW_EIO);
        bw__channel_free(c);
        check_quick(begin);
    }
}

static void wrong_length_is_an_error_of_the_receiver(void **state)
{
    (void)state;
    bw_channel *c = NULL;
    CHECK_OK(sends() ? bw__channel_open_to(&c, ranks, other(), TAG, DEPTH, 640)
                     : bw__channel_open_from(&c, ranks, other(), TAG, DEPTH, 6400));
    char token = 0;
    if (sends()) {
        CHECK_OK(put_number(c, 160, 0));
        CHECK_OK(bw__comm_receive(ranks, &token, 1, other(), 1));
        bw__channel_close(c, BW_EINTERRUPTED);
    } else {
        const void *message = NULL;
        assert_int_equal(bw__channel_get(c, &message, true), BW_EREMOTE);
        assert_non_null(strstr(bw_last_error(), "640 bytes"));
        CHECK_OK(bw__comm_send(ranks, &token, 1, other(), 1));
    }
    bw__channel_free(c);
}

/* The other end is never opened, as if its rank were dead. What was under way is given up. */
static void an_end_without_the_other_closes_after_a_while(void **state)
{
    (void)state;
    double begin = bw__now_s();
    bw_channel *c = NULL;
    if (sends()) {
        CHECK_OK(bw__channel_open_to(&c, ranks, other(), TAG + 1, DEPTH, 1 << 20));
        CHECK_OK(put_number(c, 100, 0));
    } else {
        CHECK_OK(bw__channel_open_from(&c, ranks, other(), TAG + 2, DEPTH, 1 << 20));
    }
    bw__channel_close(c, BW_EINTERRUPTED);
    bw__channel_free(c);
    assert_true(bw__now_s() - begin < 10.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_and_in_order),
        cmocka_unit_test(sender_goes_on_while_the_receiver_is_busy),
        cmocka_unit_test(sender_waits_where_the_queue_is_full),
        cmocka_unit_test(a_long_message_goes_in_pieces),
        cmocka_unit_test(asking_without_waiting_finds_what_has_come),
        cmocka_unit_test(messages_are_counted),
        cmocka_unit_test(sender_that_ends_leaves_its_messages),
        cmocka_unit_test(sender_that_fails_tells_the_receiver),
        cmocka_unit_test(receiver_that_fails_tells_the_sender),
        cmocka_unit_test(both_ends_may_fail_at_once),
        cmocka_unit_test(wrong_length_is_an_error_of_the_receiver),
        cmocka_unit_test(an_end_without_the_other_closes_after_a_while),
    };
    return RANKS_MAIN(tests);
}
