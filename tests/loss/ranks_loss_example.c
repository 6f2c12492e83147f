/* The worked example of docs/architecture.md, on ranks that share a batch. */
#include "on_ranks.h"
#include "loss_example.c"
#include <string.h>

enum { N = 3, D = 5, PART = 2 * N * D, MOST_RANKS = 8 };

static bw_loss_value run(bw_comm *comm, int64_t n, float *diff, const float *z)
{
    const bw_loss_config config = { .scale = 0.5 };
    bw_loss_value v = { 0 };
    void *loss = NULL;
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 1));
    x.comm = comm;
    CHECK_OK(bw__arena_create(&x.arena, 4096));
    CHECK_OK(bw__loss_distance.create(&loss, &x, &config, n, D));
    CHECK_OK(bw__loss_distance.run(loss, &x, &v, diff, z, NULL));
    bw__loss_distance.destroy(loss);
    bw__exec_destroy(&x);
    return v;
}

static void example_of_a_loss_is_that_of_one_rank_with_the_whole_batch(void **state)
{
    (void)state;
    int rank = bw_comm_rank(ranks), size = bw_comm_size(ranks);
    float whole[PART * MOST_RANKS], whole_diff[PART * MOST_RANKS], z[PART], diff[PART];
    assert_true(size <= MOST_RANKS);
    for (int i = 0; i < PART * size; i++)
        whole[i] = (float)(i * i % 17) / 8.0f;
    for (int view = 0; view < 2; view++)
        memcpy(z + view * N * D, whole + (view * size + rank) * N * D, N * D * sizeof *z);
    bw_loss_value want = run(NULL, N * size, whole_diff, whole), got = run(ranks, N, diff, z);
    CHECK_CLOSE(&got.total, &want.total, 1, 1e-6, 0.0);
    CHECK_CLOSE(got.term, want.term, 1, 1e-6, 0.0);
    for (int view = 0; view < 2; view++)
        assert_true(ranks_difference(diff + view * N * D, whole_diff + (view * size + rank) * N * D, N * D) <
                    1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_a_loss_is_that_of_one_rank_with_the_whole_batch),
    };
    return RANKS_MAIN(tests);
}
