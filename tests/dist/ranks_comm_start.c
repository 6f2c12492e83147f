/* Joining ranks, and what can no longer be done after it. MPI begins once in a process: a program of its
 * own. */
#include "base/error.h"
#include "check.h"
#include "dist/collective.h"
#include "failing_allocator.h"
#include <string.h>

/* All ranks fail at the same place. */
static void without_memory_ranks_do_not_join_and_may_try_again(void **state)
{
    (void)state;
    failing_allocator memory = { 0 };
    bw_comm *comm = NULL;
    failing_allocator_begin(&memory);
    for (int call = 1; call <= 2; call++) { /* for the communicator, and for what MPI calls it */
        memory.calls = 0;
        memory.fails_at = call;
        assert_int_equal(bw_comm_start(&comm), BW_ENOMEM);
        assert_null(comm);
    }
    failing_allocator_end(); /* nothing was kept */
}

static void a_second_start_is_refused(void **state)
{
    (void)state;
    bw_comm *comm = NULL;
    CHECK_OK(bw_comm_start(&comm));
    assert_int_equal(bw_comm_size(comm), bw_launched_ranks());
    int64_t own = bw_comm_rank(comm) + 1;
    CHECK_OK(bw__comm_max_i64(comm, &own, 1));
    assert_int_equal(own, bw_comm_size(comm));
    bw_comm_end(comm);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bw_comm_start(&comm), BW_EINVAL);
        assert_null(comm);
        assert_non_null(strstr(bw_last_error(), "is finalised in this process"));
    }
    bw_comm_end(comm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_ranks_do_not_join_and_may_try_again),
        cmocka_unit_test(a_second_start_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
