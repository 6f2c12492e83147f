#include "base/machine.h"
#include "check.h"

static bw_core_set cores(int first, int last)
{
    bw_core_set set = { 0 };
    for (int i = first; i <= last; i++)
        set.bits[i / 64] |= UINT64_C(1) << (i % 64);
    return set;
}

static void ranks_that_may_use_the_same_cores_divide_them(void **state)
{
    (void)state;
    /* Not bound; bound to a socket of 36 two by two; each to its own cores. */
    const bw_core_set all[] = { cores(0, 71), cores(0, 71), cores(0, 71) };
    const bw_core_set sockets[] = { cores(0, 35), cores(0, 35), cores(36, 71), cores(36, 71) };
    const bw_core_set own[] = { cores(0, 7), cores(8, 23), cores(60, 70) };
    for (int i = 0; i < 3; i++)
        assert_int_equal(bw__core_share(all, 3, i), 24);
    for (int i = 0; i < 4; i++)
        assert_int_equal(bw__core_share(sockets, 4, i), 18);
    assert_int_equal(bw__core_share(own, 3, 0), 8);
    assert_int_equal(bw__core_share(own, 3, 1), 16);
    assert_int_equal(bw__core_share(own, 3, 2), 11);
}

static void only_what_overlaps_is_divided(void **state)
{
    (void)state;
    const bw_core_set sets[] = { cores(0, 9), cores(6, 15) };
    assert_int_equal(bw__core_share(sets, 2, 0), 6 + 4 / 2);
    assert_int_equal(bw__core_share(sets, 2, 1), 6 + 4 / 2);
    assert_int_equal(bw__core_count(sets, 2), 16);
}

static void thirds_of_a_core_add_up_and_nobody_has_less_than_one(void **state)
{
    (void)state;
    const bw_core_set three[] = { cores(0, 2), cores(0, 2), cores(0, 2) };
    const bw_core_set crowd[] = { cores(5, 5), cores(5, 5), cores(5, 5), cores(5, 5) };
    assert_int_equal(bw__core_share(three, 3, 1), 1);
    assert_int_equal(bw__core_share(crowd, 4, 3), 1);
    assert_int_equal(bw__core_count(crowd, 4), 1);
}

static void a_share_is_what_usable_means_from_then_on(void **state)
{
    (void)state;
    int before = bw__usable_cores();
    assert_int_equal(bw__cores_shared_by(), 1);
    bw__cores_are_shared(before + 5, 1);
    assert_int_equal(bw__usable_cores(), before); /* never more than there is */
    bw__cores_are_shared(1, 2);
    assert_int_equal(bw__usable_cores(), 1);
    assert_int_equal(bw__cores_shared_by(), 2);
    bw__cores_are_shared(0, 1);
    assert_int_equal(bw__usable_cores(), before);
}

static void own_cores_are_as_many_as_the_affinity_mask_has(void **state)
{
    (void)state;
    bw_core_set own = bw__own_cores(), parent = bw__parent_cores();
    assert_true(bw__core_count(&own, 1) >= bw__usable_cores());
    assert_true(bw__core_count(&own, 1) <= bw__machine_cores());
    assert_true(bw__core_count(&parent, 1) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_that_may_use_the_same_cores_divide_them),
        cmocka_unit_test(only_what_overlaps_is_divided),
        cmocka_unit_test(thirds_of_a_core_add_up_and_nobody_has_less_than_one),
        cmocka_unit_test(a_share_is_what_usable_means_from_then_on),
        cmocka_unit_test(own_cores_are_as_many_as_the_affinity_mask_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
