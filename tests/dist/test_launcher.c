#define _DEFAULT_SOURCE /* setenv, unsetenv */
#include "dist/launcher.h"
#include "blockwise/comm.h"
#include "check.h"
#include <stdlib.h>

/* What the launchers were seen to set: Open MPI 4.1.4, MPICH 4.0.2, Slurm 22.05.8. */
static const char *const NAMES[] = { "OMPI_COMM_WORLD_SIZE",
                                     "OMPI_COMM_WORLD_RANK",
                                     "PMI_SIZE",
                                     "PMI_RANK",
                                     "PMIX_RANK",
                                     "SLURM_STEP_ID",
                                     "SLURM_PROCID",
                                     "SLURM_NTASKS",
                                     "SLURM_STEP_NUM_TASKS",
                                     "SLURM_CPUS_ON_NODE" };
enum { N_NAMES = sizeof NAMES / sizeof NAMES[0] };

static void set_environment(int n, const char *const (*values)[2])
{
    for (int i = 0; i < N_NAMES; i++)
        assert_int_equal(unsetenv(NAMES[i]), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(setenv(values[i][0], values[i][1], 1), 0);
}
#define ENVIRONMENT(...)                                                                                     \
    do {                                                                                                     \
        const char *const values_[][2] = { __VA_ARGS__ };                                                    \
        set_environment((int)(sizeof values_ / sizeof values_[0]), values_);                                 \
    } while (0)

static void nothing_launched_one(void **state)
{
    (void)state;
    set_environment(0, NULL);
    assert_int_equal(bw_launched_ranks(), 1);
    assert_int_equal(bw_launched_rank(), 0);
    assert_int_equal(bw__launcher_cores(), 0);
}

static void mpirun_says_size_and_rank(void **state)
{
    (void)state;
    ENVIRONMENT({ "OMPI_COMM_WORLD_SIZE", "4" }, { "OMPI_COMM_WORLD_RANK", "3" }, { "PMIX_RANK", "3" });
    assert_int_equal(bw_launched_ranks(), 4);
    assert_int_equal(bw_launched_rank(), 3);
    ENVIRONMENT({ "PMI_SIZE", "2" }, { "PMI_RANK", "1" });
    assert_int_equal(bw_launched_ranks(), 2);
    assert_int_equal(bw_launched_rank(), 1);
}

static void srun_counts_with_any_kind_of_mpi(void **state)
{
    (void)state;
#define STEP                                                                                                 \
    { "SLURM_STEP_ID", "0" }, { "SLURM_STEP_NUM_TASKS", "3" }, { "SLURM_PROCID", "2" },                      \
        { "SLURM_CPUS_ON_NODE", "96" }
    ENVIRONMENT(STEP, { "PMI_SIZE", "3" }, { "PMI_RANK", "2" });
    assert_int_equal(bw_launched_ranks(), 3);
    assert_int_equal(bw_launched_rank(), 2);
    assert_string_equal(bw__launcher_name(), "srun --mpi=pmi2");
    ENVIRONMENT(STEP, { "PMIX_RANK", "2" });
    assert_int_equal(bw_launched_ranks(), 3);
    assert_int_equal(bw_launched_rank(), 2);
    assert_string_equal(bw__launcher_name(), "srun --mpi=pmix");
    ENVIRONMENT(STEP);
    assert_int_equal(bw_launched_ranks(), 3);
    assert_int_equal(bw_launched_rank(), 2);
    assert_string_equal(bw__launcher_name(), "srun --mpi=none");
    assert_int_equal(bw__launcher_cores(), 96);
}

static void a_batch_script_is_no_rank(void **state)
{
    (void)state;
    ENVIRONMENT({ "SLURM_NTASKS", "4" }, { "SLURM_PROCID", "0" }, { "SLURM_CPUS_ON_NODE", "96" });
    assert_int_equal(bw_launched_ranks(), 1);
    assert_int_equal(bw__launcher_cores(), 0);
    ENVIRONMENT({ "SLURM_NTASKS", "4" }, { "SLURM_PROCID", "0" }, { "SLURM_STEP_NUM_TASKS", "4" },
                { "SLURM_STEP_ID", "4294967291" }); /* the step a batch script is itself */
    assert_int_equal(bw_launched_ranks(), 1);
}

static void mpirun_inside_of_a_batch_script_is_what_counts(void **state)
{
    (void)state;
    /* Its daemon on another node is a step of one task a node. */
    ENVIRONMENT({ "OMPI_COMM_WORLD_SIZE", "8" }, { "OMPI_COMM_WORLD_RANK", "5" }, { "SLURM_STEP_ID", "0" },
                { "SLURM_STEP_NUM_TASKS", "2" }, { "SLURM_PROCID", "1" }, { "SLURM_CPUS_ON_NODE", "96" });
    assert_int_equal(bw_launched_ranks(), 8);
    assert_int_equal(bw_launched_rank(), 5);
    assert_int_equal(bw__launcher_cores(), 0);
}

static void what_is_no_number_is_not_believed(void **state)
{
    (void)state;
    ENVIRONMENT({ "OMPI_COMM_WORLD_SIZE", "two" }, { "OMPI_COMM_WORLD_RANK", "1" }, { "PMI_SIZE", "2" },
                { "PMI_RANK", "2" });
    assert_int_equal(bw_launched_ranks(), 1);
    assert_int_equal(bw_launched_rank(), 0);
    ENVIRONMENT({ "PMI_SIZE", "-2" }, { "PMI_RANK", "" });
    assert_int_equal(bw_launched_ranks(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_launched_one),
        cmocka_unit_test(mpirun_says_size_and_rank),
        cmocka_unit_test(srun_counts_with_any_kind_of_mpi),
        cmocka_unit_test(a_batch_script_is_no_rank),
        cmocka_unit_test(mpirun_inside_of_a_batch_script_is_what_counts),
        cmocka_unit_test(what_is_no_number_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
