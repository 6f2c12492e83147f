/* Joining ranks, and what can no longer be done after it. MPI begins once in a process: a program of its own.
 */
#include "base/error.h"
#include "blockwise/allocator.h"
#include "check.h"
#include "dist/collective.h"
#include <stdlib.h>
#include <string.h>

static int pieces; /* of memory that there still are */

static void *take(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    return pieces-- > 0 ? aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment) : NULL;
}

static void give_back(void *user, void *memory)
{
    (void)user;
    free(memory);
}

/* All ranks fail at the same place. */
static void without_memory_ranks_do_not_join_and_may_try_again(void **state)
{
    (void)state;
    const bw_allocator allocator = { .allocate = take, .release = give_back };
    bw_comm *comm = NULL;
    CHECK_OK(bw_set_allocator(&allocator));
    for (int there = 0; there < 2; there++) { /* for the communicator, and for what MPI calls it */
        pieces = there;
        assert_int_equal(bw_comm_start(&comm), BW_ENOMEM);
        assert_null(comm);
    }
    CHECK_OK(bw_set_allocator(NULL)); /* nothing was kept */
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
