/* Health of a batch that ranks share is that of the whole batch, the same on all of them. */
#include "on_ranks.h"
#include "base/memory.h"
#include "base/rng.h"
#include "train/health.h"

enum { N = 6, D = 9, POSITIONS = 3 }; /* images of one rank */

static bw_exec exec_of(bw_comm *comm)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 1));
    CHECK_OK(bw__arena_create(&x.arena, 1 << 20));
    x.comm = comm;
    return x;
}

static void embeddings_are_judged_together(void **state)
{
    (void)state;
    const int64_t all = N * bw_comm_size(ranks);
    float *z;
    bw_health whole, shared;
    CHECK_OK(BW_ALLOC(&z, all * D));
    bw_rng rng = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, z, all * D);
    for (int64_t i = 0; i < all; i++)
        for (int64_t j = 0; j < D; j++)
            z[i * D + j] *= (float)(1 + i / N); /* ranks are not alike */
    bw_exec alone = exec_of(NULL), together = exec_of(ranks);
    CHECK_OK(bw__health(&whole, &alone, z, all, D));
    CHECK_OK(bw__health(&shared, &together, z + bw_comm_rank(ranks) * N * D, N, D));
    assert_memory_equal(&shared, &whole, sizeof whole);
    assert_true(whole.effective_rank_max == D); /* of a rank alone it would be 6 */
    bw__exec_destroy(&alone);
    bw__exec_destroy(&together);
    bw__free(z);
}

static void channel_is_dead_only_where_no_rank_needs_it(void **state)
{
    (void)state;
    float out[N * POSITIONS * D] = { 0 };
    const int rank = bw_comm_rank(ranks), last = bw_comm_size(ranks) - 1;
    bw_exec x = exec_of(ranks);
    out[(2 * POSITIONS + 1) * D + 4] = 1.0f;               /* on all ranks */
    if (rank == last) out[(4 * POSITIONS) * D + 7] = 0.5f; /* on the last alone */
    double dead = bw__dead_channels(&x, out, N, POSITIONS, D);
    assert_true(dead == (double)(D - 2) / D);
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_are_judged_together),
        cmocka_unit_test(channel_is_dead_only_where_no_rank_needs_it),
    };
    return RANKS_MAIN(tests);
}
