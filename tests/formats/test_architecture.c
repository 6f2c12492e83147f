#include "check.h"
#include "base/error.h"
#include "formats/architecture.h"
#include <stdio.h>
#include <string.h>

static bw_config with(const char *a, const char *b, const char *c)
{
    bw_config config = bw_config_default();
    CHECK_OK(bw_config_set(&config, a));
    CHECK_OK(bw_config_set(&config, b));
    CHECK_OK(bw_config_set(&config, c));
    CHECK_OK(bw_config_resolve(&config));
    return config;
}

static void assert_units(const bw_config *config, const int *ends, int blocks)
{
    int first = 0;
    assert_int_equal(bw__config_blocks(config), blocks);
    assert_int_equal(bw__config_cut_blocks(config), blocks);
    for (int k = 0; k < blocks; k++) {
        bw_unit_range r = bw__config_block_units(config, k);
        assert_int_equal(r.first, first);
        assert_int_equal(r.end, ends[k]);
        first = r.end;
    }
}

static void cuts_divide_all_units_without_gap_or_overlap(void **state)
{
    (void)state;
    bw_config c = with("model.arch=resnet50", "model.cuts=stages", "seed=0");
    assert_units(&c, (const int[]){ 3, 7, 13, 16 }, 4);
    c = with("model.arch=resnet18", "model.cuts=units", "seed=0");
    assert_units(&c, (const int[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, 8);
    c = with("model.arch=resnet34", "model.cuts=[1, 5, 15]", "seed=0");
    assert_units(&c, (const int[]){ 1, 5, 15, 16 }, 4);
    c = with("model.arch=resnet34", "model.cuts=[]", "seed=0");
    assert_units(&c, (const int[]){ 16 }, 1);
    c = with("model.arch=resnet101", "model.cuts=units", "seed=0");
    assert_int_equal(bw__config_blocks(&c), 33);
    assert_int_equal(bw__config_block_units(&c, 32).end, 33);
}

static void end_to_end_trains_one_block_and_is_cut_into_all(void **state)
{
    (void)state;
    bw_config c = with("model.arch=resnet50", "model.cuts=[2, 9]", "train.order=end-to-end");
    assert_int_equal(bw__config_blocks(&c), 1);
    assert_int_equal(bw__config_cut_blocks(&c), 3);
    assert_int_equal(bw__config_block_units(&c, 0).first, 0);
    assert_int_equal(bw__config_block_units(&c, 0).end, 16);
    assert_int_equal(bw__cut_block_units(&c.model, 1).first, 2);
    assert_int_equal(bw__cut_block_units(&c.model, 1).end, 9);
}

static void a_cut_that_does_not_exist_is_refused_with_what_does(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "model.arch=resnet18"));
    CHECK_OK(bw_config_set(&c, "model.cuts=[3, 8]"));
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    assert_string_equal(bw_last_error(),
                        "model.cuts: there is nothing to cut behind unit 8: this network has 8 "
                        "residual units, so a cut is one of 1..7");
    CHECK_OK(bw_config_set(&c, "model.cuts=[3, 7]"));
    CHECK_OK(bw_config_resolve(&c));
}

static void units_know_their_stage_channels_and_pixels(void **state)
{
    (void)state;
    bw_config c = with("model.arch=resnet50", "data.image_size=219", "model.width=24");
    const int unit[] = { 0, 2, 3, 6, 7, 12, 13, 15 }, stage[] = { 0, 0, 1, 1, 2, 2, 3, 3 },
              index[] = { 0, 2, 0, 3, 0, 5, 0, 2 };
    const int64_t size[] = { 55, 28, 14, 7 }; /* 219 -> 110 -> 55 */
    for (int i = 0; i < 8; i++) {
        int at;
        assert_int_equal(bw__arch_stage(c.model.arch, unit[i], &at), stage[i]);
        assert_int_equal(at, index[i]);
        assert_int_equal(bw__unit_channels(&c, unit[i]), 96 << stage[i]);
        assert_int_equal(bw__unit_size(&c, unit[i]), size[stage[i]]);
    }
    c = with("model.arch=resnet34", "model.stem=cifar", "data.image_size=33");
    assert_int_equal(bw__unit_size(&c, 0), 33);
    assert_int_equal(bw__unit_size(&c, 15), 5);
    assert_int_equal(bw__unit_channels(&c, 15), 512);
}

static void lsp_grids_are_powers_of_two_and_no_taller_than_wide(void **state)
{
    (void)state;
    const int64_t rows[] = { 1, 1, 2, 2, 4, 4 }, columns[] = { 1, 2, 2, 4, 4, 8 };
    int64_t r, c;
    for (int j = 0; j < 6; j++) {
        assert_true(bw__lsp_grid(&r, &c, (int64_t)24 << j, 24));
        assert_int_equal(r, rows[j]);
        assert_int_equal(c, columns[j]);
    }
    assert_false(bw__lsp_grid(&r, &c, 24 * 3, 24));
    assert_false(bw__lsp_grid(&r, &c, 25, 24));
    assert_false(bw__lsp_grid(&r, &c, 12, 24));
}

static void assert_head_refused(const char *assignments, const char *want)
{
    char text[256], *rest = NULL;
    bw_config c = bw_config_default();
    (void)snprintf(text, sizeof text, "%s", assignments);
    for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest))
        CHECK_OK(bw_config_set(&c, p));
    if (!want) {
        CHECK_OK(bw_config_resolve(&c));
        return;
    }
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    if (!strstr(bw_last_error(), want)) fail_msg("got '%s', want in it '%s'", bw_last_error(), want);
}

static void heads_that_a_block_cannot_have_are_refused_with_what_would_work(void **state)
{
    (void)state;
    assert_head_refused("head.pool=lsp", NULL);
    assert_head_refused("head.pool=lsp model.stem=cifar model.arch=resnet18", NULL);
    assert_head_refused(
        "head.pool=lsp head.dim=1536",
        "head.dim: 1536 values do not make a grid of 1, 2, 4, 8, ... cells of the 256 channels "
        "of block 1, as head.pool lsp has it; use 1024 or 2048 there");
    assert_head_refused("head.pool=lsp head.dim=1024",
                        "channels of block 4, as head.pool lsp has it; use 2048 there");
    assert_head_refused("head.pool=lsp model.arch=resnet18 head.dim=776", "block 1");
    /* 32 px through the stem of ImageNet: 8, 4, 2 and 1 pixel. */
    assert_head_refused("head.pool=lsp data.image_size=32", NULL);
    assert_head_refused(
        "head.pool=lsp data.image_size=32 head.dim=4096",
        "head.dim: 4096 values of the 2048 channels of block 4 are a grid of 1 x 2 cells, but "
        "the block puts out 1 x 1 pixels; use 2048 there, larger images, or another head.pool");
    assert_head_refused("head.pool=lsp data.image_size=24 model.cuts=[13]", NULL);
    assert_head_refused("blocks[3].head.pool=lsp blocks[3].head.dim=1536",
                        "blocks[3].head.dim: 1536 values do not make");
    assert_head_refused(
        "head.pool=lsp data.image_size=16 head.dim=8192 model.cuts=[3]",
        "head.dim: 8192 values of the 256 channels of block 1 are a grid of 4 x 8 cells, but the "
        "block puts out 4 x 4 pixels; use 4096 there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_divide_all_units_without_gap_or_overlap),
        cmocka_unit_test(end_to_end_trains_one_block_and_is_cut_into_all),
        cmocka_unit_test(a_cut_that_does_not_exist_is_refused_with_what_does),
        cmocka_unit_test(lsp_grids_are_powers_of_two_and_no_taller_than_wide),
        cmocka_unit_test(heads_that_a_block_cannot_have_are_refused_with_what_would_work),
        cmocka_unit_test(units_know_their_stage_channels_and_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
