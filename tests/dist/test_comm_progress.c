/* The thread that asks on, with counters in the place of sums: it needs no MPI. */
#include "check.h"
#include "dist/comm_progress.h"
#include <stdatomic.h>
#include <time.h>

typedef struct counter {
    bw_progress progress;
    atomic_int asked;
    int enough;
} counter;

static bool count(bw_progress *p)
{
    counter *c = (counter *)p;
    return atomic_fetch_add(&c->asked, 1) + 1 >= c->enough;
}

static void nap_ms(long ms)
{
    const struct timespec nap = { .tv_nsec = ms * 1000000 };
    (void)nanosleep(&nap, NULL);
}

/* Up to ten seconds, for a machine that is busy. */
static bool reaches(const counter *c, int asked)
{
    for (int i = 0; i < 1000 && atomic_load(&c->asked) < asked; i++)
        nap_ms(10);
    return atomic_load(&c->asked) >= asked;
}

static void items_are_asked_until_they_are_done_and_no_more(void **state)
{
    (void)state;
    counter a = { .progress = { .ask = count }, .enough = 3 },
            b = { .progress = { .ask = count }, .enough = 5 };
    for (int round = 0; round < 3; round++) {
        atomic_store(&a.asked, 0);
        atomic_store(&b.asked, 0);
        bw__progress_add(&a.progress);
        bw__progress_add(&b.progress);
        assert_true(reaches(&a, 3) && reaches(&b, 5));
        nap_ms(10);
        bw__progress_remove(&a.progress);
        bw__progress_remove(&b.progress);
        assert_int_equal(atomic_load(&a.asked), 3);
        assert_int_equal(atomic_load(&b.asked), 5);
        if (round == 1) bw__progress_end(); /* the next item starts it again */
    }
    bw__progress_end();
}

static void an_item_that_was_removed_is_left_alone(void **state)
{
    (void)state;
    counter a = { .progress = { .ask = count }, .enough = 1 << 30 };
    bw__progress_add(&a.progress);
    assert_true(reaches(&a, 2));
    bw__progress_remove(&a.progress);
    int asked = atomic_load(&a.asked);
    nap_ms(20);
    assert_int_equal(atomic_load(&a.asked), asked);
    bw__progress_remove(&a.progress); /* of one that is not there */
    bw__progress_end();
}

static void nothing_is_asked_where_it_is_not_wanted(void **state)
{
    (void)state;
    counter a = { .progress = { .ask = count }, .enough = 1 };
    bw__progress_use(false);
    bw__progress_add(&a.progress);
    nap_ms(20);
    bw__progress_remove(&a.progress);
    assert_int_equal(atomic_load(&a.asked), 0);
    bw__progress_use(true);
    bw__progress_add(&a.progress);
    assert_true(reaches(&a, 1));
    bw__progress_remove(&a.progress);
    bw__progress_end();
    bw__progress_end(); /* of a thread that does not run */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_asked_until_they_are_done_and_no_more),
        cmocka_unit_test(an_item_that_was_removed_is_left_alone),
        cmocka_unit_test(nothing_is_asked_where_it_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
