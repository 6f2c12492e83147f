#include "base/available.h"
#include "base/machine.h"
#include "data/temp_files.h"
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static const int64_t KB = 1024, MB = 1 << 20;

static void the_machine_gives_what_is_free_and_what_is_taken_already(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/meminfo", "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    5000 kB\n");
    write_text(root, "proc/self/status", "Name:\tx\nVmRSS:\t   900 kB\nRssAnon:\t     300 kB\n");
    bw_available a = bw__available_memory(root, 1);
    assert_int_equal(a.bytes, 5300 * KB);
    assert_non_null(strstr(a.limit, "machine"));
    remove_folder(root);
}

static void a_control_group_that_leaves_less_decides(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/meminfo", "MemAvailable:    5000 kB\n");
    write_text(root, "proc/self/status", "RssAnon:\t     300 kB\n");
    write_text(root, "proc/self/cgroup", "0::/\n");
    write_text(root, "sys/fs/cgroup/memory.max", "3072000\n");
    write_text(root, "sys/fs/cgroup/memory.current", "1024000\n");
    bw_available a = bw__available_memory(root, 1);
    assert_int_equal(a.bytes, 2300 * KB);
    assert_non_null(strstr(a.limit, "control group"));
    remove_folder(root);
}

static void nothing_known_limits_nothing(void **state)
{
    (void)state;
    char *root = new_folder();
    assert_true(bw__available_memory(root, 1).bytes == INT64_MAX);
    remove_folder(root);
}

static void a_limit_of_address_space_decides_less_what_threads_take(void **state)
{
    (void)state;
    struct rlimit before;
    char *root = new_folder();
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit lowered = { .rlim_cur = (rlim_t)1 << 50, .rlim_max = before.rlim_max };
    if (setrlimit(RLIMIT_AS, &lowered) != 0) skip();
    bw_available one = bw__available_memory(root, 1), three = bw__available_memory(root, 3);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_non_null(strstr(one.limit, "ulimit -v"));
    assert_true(one.bytes > (INT64_C(1) << 49) && one.bytes < INT64_C(1) << 50);
    assert_true(one.bytes - three.bytes > 2 * 64 * MB);
    remove_folder(root);
}

static void openblas_finds_room_for_its_buffer(void **state)
{
    (void)state;
    struct rlimit before;
    long long pages = 0;
    char *root = new_folder();
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit lowered = { .rlim_cur = (rlim_t)1 << 50, .rlim_max = before.rlim_max };
    if (setrlimit(RLIMIT_AS, &lowered) != 0) skip();
    bw_available none = bw__available_memory(root, 0);
    const int64_t rss = bw__rss_bytes();
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lld", &pages), 1);
    assert_int_equal(fclose(f), 0);
    const int64_t left = (INT64_C(1) << 50) - pages * sysconf(_SC_PAGESIZE) + rss;
    assert_true(left - none.bytes > 120 * MB);
    remove_folder(root);
}

static void ranks_of_one_machine_share_what_is_free(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/meminfo", "MemAvailable:    5000 kB\n");
    write_text(root, "proc/self/status", "RssAnon:\t     300 kB\n");
    bw__cores_are_shared(1, 4);
    bw_available a = bw__available_memory(root, 1);
    bw__cores_are_shared(1, 1);
    assert_int_equal(a.bytes, (1250 + 300) * KB);
    assert_non_null(strstr(a.limit, "for each of its ranks"));
    remove_folder(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_gives_what_is_free_and_what_is_taken_already),
        cmocka_unit_test(a_control_group_that_leaves_less_decides),
        cmocka_unit_test(nothing_known_limits_nothing),
        cmocka_unit_test(ranks_of_one_machine_share_what_is_free),
        cmocka_unit_test(openblas_finds_room_for_its_buffer),
        cmocka_unit_test(a_limit_of_address_space_decides_less_what_threads_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
