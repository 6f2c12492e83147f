/* The queue between two threads. label: tsan */
#include "base/error.h"
#include "base/memory.h"
#include "check.h"
#include "dist/slot_queue.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { MESSAGES = 2000, WORDS = 57 };

static void pause_ms(long ms)
{
    const struct timespec nap = { .tv_nsec = ms * 1000000L };
    (void)nanosleep(&nap, NULL);
}

/* Fills MESSAGES slots with the number of the message and ends the queue. */
static void *produce(void *user)
{
    bw_slot_queue *q = user;
    for (int i = 0; i < MESSAGES; i++) {
        int *slot = bw__slot_queue_room(q, BW_FOR_EVER);
        if (!slot) return NULL;
        for (int w = 0; w < WORDS; w++)
            slot[w] = i * 31 + w;
        bw__slot_queue_push(q);
        if (i % 997 == 0) pause_ms(1);
    }
    bw__slot_queue_end(q);
    return NULL;
}

static void messages_come_whole_and_in_order(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 3; depth++) {
        bw_slot_queue *q = NULL;
        pthread_t thread;
        int n = 0;
        CHECK_OK(bw__slot_queue_create(&q, depth, WORDS * sizeof(int)));
        assert_int_equal(pthread_create(&thread, NULL, produce, q), 0);
        for (const int *slot; (slot = bw__slot_queue_next(q, BW_FOR_EVER)); n++) {
            for (int w = 0; w < WORDS; w++)
                assert_int_equal(slot[w], n * 31 + w);
            if (n % 499 == 0) pause_ms(1);
            bw__slot_queue_pop(q);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(n, MESSAGES);
        assert_false(bw__slot_queue_is_closed(q));
        bw__slot_queue_free(q);
    }
}

static void no_more_than_depth_messages_are_ahead(void **state)
{
    (void)state;
    bw_slot_queue *q = NULL;
    CHECK_OK(bw__slot_queue_create(&q, 2, 8));
    assert_null(bw__slot_queue_next(q, 0.0));
    for (int i = 0; i < 2; i++) {
        assert_non_null(bw__slot_queue_room(q, 0.0));
        bw__slot_queue_push(q);
    }
    assert_null(bw__slot_queue_room(q, 0.0));
    assert_null(bw__slot_queue_room(q, 0.005));
    assert_int_equal(bw__slot_queue_count(q), 2);
    void *oldest = bw__slot_queue_next(q, 0.0);
    assert_ptr_equal(bw__slot_queue_next(q, 0.0), oldest); /* until it is popped */
    bw__slot_queue_pop(q);
    assert_ptr_equal(bw__slot_queue_room(q, 0.0), oldest);
    bw__slot_queue_free(q);
}

static void what_was_pushed_before_the_end_can_be_taken(void **state)
{
    (void)state;
    bw_slot_queue *q = NULL;
    CHECK_OK(bw__slot_queue_create(&q, 2, 8));
    assert_non_null(bw__slot_queue_room(q, BW_FOR_EVER));
    bw__slot_queue_push(q);
    bw__slot_queue_end(q);
    assert_true(bw__slot_queue_has_ended(q));
    assert_null(bw__slot_queue_room(q, BW_FOR_EVER));
    assert_non_null(bw__slot_queue_next(q, BW_FOR_EVER));
    bw__slot_queue_pop(q);
    assert_null(bw__slot_queue_next(q, BW_FOR_EVER));
    bw__slot_queue_free(q);
}

static void *close_later(void *user)
{
    pause_ms(5);
    bw__slot_queue_close(user, BW_EDATA, "shard 7 is damaged");
    return NULL;
}

/* Both sides wait for what never comes, and get the closer's message on their own thread. */
static void closing_ends_all_waits_and_says_why(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        bw_slot_queue *q = NULL;
        pthread_t thread;
        CHECK_OK(bw__slot_queue_create(&q, 1, 8));
        if (full) {
            assert_non_null(bw__slot_queue_room(q, 0.0));
            bw__slot_queue_push(q);
        }
        assert_int_equal(pthread_create(&thread, NULL, close_later, q), 0);
        assert_null(full ? bw__slot_queue_room(q, BW_FOR_EVER) : bw__slot_queue_next(q, BW_FOR_EVER));
        assert_int_equal(pthread_join(thread, NULL), 0);
        bw__slot_queue_close(q, BW_EIO, "a later one");
        assert_int_equal(bw__slot_queue_reason(q), BW_EDATA);
        assert_string_equal(bw_last_error(), "shard 7 is damaged");
        assert_null(bw__slot_queue_next(q, BW_FOR_EVER)); /* nor is anything left taken */
        bw__slot_queue_free(q);
    }
}

static void *produce_until_closed(void *user)
{
    while (bw__slot_queue_room(user, BW_FOR_EVER))
        bw__slot_queue_push(user);
    return NULL;
}

static void consumer_may_leave_at_any_moment(void **state)
{
    (void)state;
    for (int taken = 0; taken < 20; taken++) {
        bw_slot_queue *q = NULL;
        pthread_t thread;
        CHECK_OK(bw__slot_queue_create(&q, 2, 64));
        assert_int_equal(pthread_create(&thread, NULL, produce_until_closed, q), 0);
        for (int i = 0; i < taken; i++) {
            assert_non_null(bw__slot_queue_next(q, BW_FOR_EVER));
            bw__slot_queue_pop(q);
        }
        bw__slot_queue_close(q, BW_OK, NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        bw__slot_queue_free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_and_in_order),
        cmocka_unit_test(no_more_than_depth_messages_are_ahead),
        cmocka_unit_test(what_was_pushed_before_the_end_can_be_taken),
        cmocka_unit_test(closing_ends_all_waits_and_says_why),
        cmocka_unit_test(consumer_may_leave_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
