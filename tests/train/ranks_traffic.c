/* The formula of what ranks send, beside what they count. */
#include "on_ranks.h"
#include "train/traffic.h"
#include "training.h"

static bw_config tiny(const char *const *settings)
{
    static const char *const BASE[] = { "model.arch=resnet18",       "model.width=8",     "model.stem=cifar",
                                        "data.image_size=16",        "threads=1",         "train.batch=16",
                                        "projector.widths=[24, 12]", "health.every=1000", "train.epochs=4",
                                        "parallel.block=1" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof BASE / sizeof *BASE; i++)
        CHECK_OK(bw_config_set(&c, BASE[i]));
    for (; settings && *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    c.parallel.data = bw_comm_size(ranks);
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* Two steps of `settings`: what the second one sends is what the formula says. */
static void check(const char *const *settings)
{
    bw_config c = tiny(settings);
    bw_grid grid;
    bw_network *net;
    bw_trainer *trainer;
    bw_step step;
    bw_comm_count before[BW_COMM_KINDS];
    bw_block_traffic traffic[BW_MAX_BLOCKS];
    static const bw_comm_kind KINDS[] = { BW_COMM_SUM, BW_COMM_WORK, BW_COMM_GATHER };
    CHECK_OK(bw__grid_create(&grid, ranks, &c));
    int64_t images = bw__grid_images(&grid, &c), count = BW_VIEWS * images * 16 * 16 * 3;
    float *views = malloc((size_t)count * sizeof *views);
    int labels[16] = { 0 };
    assert_non_null(views);
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, (uint64_t)grid.place, 0, 0);
    bw__rng_normal_f32(&r, views, count);
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw__trainer_create_on(&trainer, net, STEPS_PER_EPOCH, &grid));
    CHECK_OK(bw_trainer_step(trainer, &step, views, labels));
    for (int k = 0; k < BW_COMM_KINDS; k++)
        before[k] = bw__comm_count((bw_comm_kind)k);
    CHECK_OK(bw_trainer_step(trainer, &step, views, labels));
    const bw_phase *phase = bw__phase_at(&trainer->phases, 1);
    for (int k = 0; k <= phase->last; k++)
        traffic[k] = bw__block_traffic(net, k, grid.data, phase->learns[k]);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        bw_comm_count now = bw__comm_count(KINDS[i]);
        bw_messages wanted = bw__traffic_of_kind(traffic, 0, phase->last + 1, KINDS[i]);
        assert_int_equal(now.calls - before[KINDS[i]].calls, wanted.calls);
        assert_int_equal(now.bytes - before[KINDS[i]].bytes, wanted.bytes);
    }
    assert_true(bw__traffic_of_kind(traffic, 0, phase->last + 1, BW_COMM_WORK).bytes > 0);
    bw_trainer_free(trainer);
    bw_network_free(net);
    bw__grid_destroy(&grid);
    free(views);
}
#define CHECK(...) check((const char *const[]){ __VA_ARGS__, NULL })

static void every_loss_sends_what_its_formula_says(void **state)
{
    (void)state;
    CHECK("loss.name=barlow-twins");
    CHECK("loss.name=vicreg");
    CHECK("loss.name=simclr");
    CHECK("loss.name=cross-entropy", "loss.classes=3");
}

static void every_head_and_network_sends_what_its_formula_says(void **state)
{
    (void)state;
    CHECK("head.pool=gsp");
    CHECK("head.pool=lsp");
    CHECK("head.filter=3");
    CHECK("head.stride=2");
    CHECK("model.arch=resnet50", "model.stem=imagenet", "data.image_size=16");
    CHECK("noise.kind=hw");
    CHECK("blocks[2].loss.name=simclr", "blocks[3].projector.widths=[40]");
}

static void every_order_sends_what_its_formula_says(void **state)
{
    (void)state;
    CHECK("train.order=end-to-end");
    CHECK("train.order=sequential");
    CHECK("train.blocks=[2, 3]");
    CHECK("train.recompute=true");
    CHECK("train.split=2");
    CHECK("train.split=2", "loss.name=simclr");
    CHECK("model.cuts=units");
}

static void one_rank_sends_nothing(void **state)
{
    (void)state;
    bw_config c = tiny(NULL);
    bw_network *outline;
    CHECK_OK(bw__network_outline(&outline, &c));
    bw_block_traffic t = bw__block_traffic(outline, 0, 1, true);
    assert_int_equal(t.forward.bytes + t.backward.bytes + t.loss.bytes + t.gathered.bytes + t.gradients.bytes,
                     0);
    /* but its output, where other rows train the next block: both views of 16 images, 16 x 16 x 8 floats */
    assert_int_equal(t.output.bytes, 2 * 16 * 16 * 16 * 8 * 4);
    bw_network_free(outline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss_sends_what_its_formula_says),
        cmocka_unit_test(every_head_and_network_sends_what_its_formula_says),
        cmocka_unit_test(every_order_sends_what_its_formula_says),
        cmocka_unit_test(one_rank_sends_nothing),
    };
    return RANKS_MAIN(tests);
}
