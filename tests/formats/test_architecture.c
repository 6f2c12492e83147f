#include "check.h"
#include "base/error.h"
#include "formats/architecture.h"
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
    CHECK_OK(bw_config_set(&c, "model.cuts=[3, 3]"));
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "unit 3 stands there twice"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_divide_all_units_without_gap_or_overlap),
        cmocka_unit_test(end_to_end_trains_one_block_and_is_cut_into_all),
        cmocka_unit_test(a_cut_that_does_not_exist_is_refused_with_what_does),
        cmocka_unit_test(units_know_their_stage_channels_and_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
