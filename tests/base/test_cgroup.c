#include "base/cgroup.h"
#include "data/temp_files.h"

enum { MB = 1 << 20 };

static void without_groups_nothing_is_limited(void **state)
{
    (void)state;
    char *root = new_folder();
    bw_cgroup g = bw__cgroup_read(root);
    assert_int_equal(g.memory_bytes, -1);
    assert_true(g.cores == 0.0);
    write_text(root, "proc/self/cgroup", "0::/a/b\n");
    write_text(root, "sys/fs/cgroup/a/b/memory.max", "max\n");
    write_text(root, "sys/fs/cgroup/a/b/memory.current", "4096\n");
    write_text(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    g = bw__cgroup_read(root);
    assert_int_equal(g.memory_bytes, -1);
    assert_true(g.cores == 0.0);
    remove_folder(root);
}

static void version_2_takes_the_tightest_group_above(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/self/cgroup", "0::/a/b\n");
    write_text(root, "sys/fs/cgroup/a/b/memory.max", "max\n");
    write_text(root, "sys/fs/cgroup/a/b/memory.current", "1048576\n");
    write_text(root, "sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    write_text(root, "sys/fs/cgroup/a/memory.max", "104857600\n");
    write_text(root, "sys/fs/cgroup/a/memory.current", "41943040\n");
    write_text(root, "sys/fs/cgroup/a/memory.stat",
               "anon 1\nfile 20971520\ninactive_file 8388608\nactive_file 2097152\n");
    write_text(root, "sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    bw_cgroup g = bw__cgroup_read(root);
    assert_int_equal(g.memory_bytes, (100 - (40 - 10)) * MB); /* page cache is counted as free */
    assert_true(g.cores == 1.5);
    remove_folder(root);
}

static void version_1_has_a_tree_for_each_controller(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/self/cgroup", "5:cpuset:/x\n4:memory:/job\n1:cpu,cpuacct:/job\n0::/\n");
    write_text(root, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "52428800\n");
    write_text(root, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "10485760\n");
    write_text(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_text(root, "sys/fs/cgroup/memory/memory.usage_in_bytes", "10485760\n");
    write_text(root, "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n");
    write_text(root, "sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    write_text(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    write_text(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    bw_cgroup g = bw__cgroup_read(root);
    assert_int_equal(g.memory_bytes, 40 * MB);
    assert_true(g.cores == 2.0);
    remove_folder(root);
}

static void a_path_of_the_host_falls_back_to_what_the_container_sees(void **state)
{
    (void)state;
    char *root = new_folder();
    write_text(root, "proc/self/cgroup", "0::/kubepods/pod7/c1\n");
    write_text(root, "sys/fs/cgroup/memory.max", "31457280\n");
    write_text(root, "sys/fs/cgroup/memory.current", "41943040\n");
    assert_int_equal(bw__cgroup_read(root).memory_bytes, 0); /* over the limit: nothing is left */
    remove_folder(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_groups_nothing_is_limited),
        cmocka_unit_test(version_2_takes_the_tightest_group_above),
        cmocka_unit_test(version_1_has_a_tree_for_each_controller),
        cmocka_unit_test(a_path_of_the_host_falls_back_to_what_the_container_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
