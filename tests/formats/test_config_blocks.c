#include "check.h"
#include "config_texts.h"
#include <math.h>

static void block_has_its_own_settings_in_every_way_to_write_them(void **state)
{
    (void)state;
    const char *texts[] = { "blocks[2].head.pool: lsp\n", "blocks[2]:\n  head:\n    pool: lsp\n",
                            "blocks[2]: {head: {pool: lsp}}\n", "blocks:\n  2:\n    head.pool: lsp\n",
                            "blocks: {2: {head: {pool: lsp}}}\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bw_config c = bw_config_default();
        CHECK_OK(load_text(&c, texts[i]));
        assert_int_equal(bw_config_block(&c, 1).head.pool, BW_POOL_LSP);
        assert_int_equal(bw_config_block(&c, 0).head.pool, BW_POOL_CBE);
        assert_int_equal(c.head.pool, BW_POOL_CBE);
        assert_true(bw_config_is_set(&c, "blocks[2].head.pool"));
        assert_false(bw_config_is_set(&c, "head.pool") || bw_config_is_set(&c, "blocks[1].head.pool"));
    }
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "blocks[64].optimizer={name: sgd, lr: 0.5}"));
    assert_true(bw_config_block(&c, 63).optimizer.lr == 0.5);
    assert_int_equal(bw_config_block(&c, 63).optimizer.name, BW_OPTIMIZER_SGD);
}

/* A place that is wrong by one field would show in the block or beside it. */
static void every_key_of_the_five_groups_has_a_form_for_blocks(void **state)
{
    (void)state;
    int forms = 0;
    for (int i = 0; i < bw__keys(); i++) {
        char name[BW_KEY_NAME], value[BW_KEY_TEXT], assignment[BW_KEY_NAME + 64];
        bw_config c = bw_config_default(), of_run = bw_config_default();
        const bw_key *key = bw__key(i);
        if (!bw__key_has_block_form(i)) continue;
        const char *other = key->type == BW_KEY_ENUM    ? key->names[2]
                            : key->type == BW_KEY_BOOL  ? "true"
                            : key->type == BW_KEY_INTS  ? "[8, 24, 16]"
                            : key->type == BW_KEY_REALS ? "[0.25, 0.5]"
                            : key->type == BW_KEY_REAL  ? "0.375"
                            : key->choices              ? "3"
                                                        : "8";
        (void)snprintf(assignment, sizeof assignment, "blocks[3].%s=%s", key->name, other);
        CHECK_OK(bw_config_set(&c, assignment));
        (void)snprintf(assignment, sizeof assignment, "%s=%s", key->name, other);
        CHECK_OK(bw_config_set(&of_run, assignment));
        bw_key own = bw__key_of_block(name, i, 2);
        bw__key_format(value, &c, &own);
        assert_string_equal(value, other);
        bw_block_config third = bw_config_block(&c, 2), all = bw_config_block(&of_run, 0);
        bw_block_config second = bw_config_block(&c, 1), run = bw_config_block(&c, BW_MAX_BLOCKS - 1);
        assert_memory_equal(&third, &all, sizeof all);
        assert_memory_equal(&second, &run, sizeof run);
        assert_memory_not_equal(&third, &second, sizeof third);
        forms++;
    }
    assert_int_equal(forms, 29);
}

static void mistakes_in_names_of_blocks_are_explained(void **state)
{
    (void)state;
    const struct {
        const char *set, *why;
    } wrong[] = {
        { "blocks[0].head.pool=lsp", "'blocks[0].head.pool': blocks are counted from 1 to at most 64" },
        { "blocks[65].head.pool=lsp", "blocks are counted from 1 to at most 64" },
        { "blocks[99999999999999999999].head.pool=lsp", "counted from 1" },
        { "blocks[2].train.batch=8",
          "'blocks[2].train.batch': train.batch has no value of its own for single "
          "blocks; head, projector, loss, noise and optimizer have" },
        { "blocks[2].augment.hue=0", "augment.hue has no value of its own for single blocks" },
        { "blocks[2].augment={hue: 0}", "augment.hue has no value of its own for single blocks" },
        { "blocks[2].head.pol=lsp", "unknown key 'blocks[2].head.pol'; did you mean 'blocks[2].head.pool'?" },
        { "blocks[2].lr=1", "did you mean 'blocks[2].optimizer.lr'?" },
        { "blocks[x].head.pool=lsp", "'blocks[x].head.pool': settings of single blocks are written "
                                     "blocks[k].KEY, as in blocks[2].head.pool" },
        { "blocks[-1].head.pool=lsp", "are written blocks[k].KEY" },
        { "blocks[2.head.pool=lsp", "are written blocks[k].KEY" },
        { "blocks[2]head.pool=lsp", "are written blocks[k].KEY" },
        { "blocks.head.pool=lsp", "are written blocks[k].KEY" },
        { "blocks=2", "are written blocks[k].KEY" },
        { "blocks=[{head.pool: lsp}]", "are written blocks[k].KEY" },
        { "blocks[2]=lsp", "'blocks[2]' is a group of keys" },
        { "blocks[2].head=lsp", "'blocks[2].head' is a group of keys" },
        { "block[2].head.pool=lsp", "only blocks[k].KEY, as in blocks[2].head.pool, has brackets" },
        { "blocks[2].head.pool=max",
          "blocks[2].head.pool: 'max' is not one of them; allowed: gsp, cbe, lsp" },
        { "blocks[2].head.dim=12", "blocks[2].head.dim: '12' is out of range" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bw_config c = bw_config_default(), before = c;
        assert_int_equal(bw_config_set(&c, wrong[i].set), BW_EINVAL);
        assert_message_has(wrong[i].why);
        assert_memory_equal(&c, &before, sizeof c);
    }
    bw_config c = bw_config_default();
    assert_int_equal(load_text(&c, "seed: 1\nblocks[1].head.dim: 8\nblocks: {1: {head.dim: 8}}\n"),
                     BW_EINVAL);
    assert_message_has("my.yaml:3: blocks.1.head.dim is given twice, first in line 2");
    CHECK_OK(load_text(&c, "blocks:\nblocks[1]:\n"));
    CHECK_OK(load_text(&c, "blocks[1]:\n  head:\n"));
}

static void block_that_does_not_exist_is_refused_with_how_many_there_are(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "blocks[5].noise.sigma=0.5"));
    assert_refused(&c, "blocks[5].noise.sigma: there is no block 5: model.cuts stages makes blocks 1 to 4");
    CHECK_OK(bw_config_set(&c, "model.cuts=[1,2,3,7,9]"));
    CHECK_OK(bw_config_set(&c, "noise.kind=c"));
    CHECK_OK(bw_config_resolve(&c));
    c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "model.cuts=[3]"));
    CHECK_OK(bw_config_set(&c, "blocks[3].head.dim=8"));
    assert_refused(&c, "blocks[3].head.dim: there is no block 3: model.cuts [3] makes blocks 1 to 2");
    c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "train.order=end-to-end"));
    CHECK_OK(bw_config_set(&c, "blocks[1].loss.lambda=0.01"));
    CHECK_OK(bw_config_resolve(&c));
    CHECK_OK(bw_config_set(&c, "blocks[2].loss.lambda=0.01"));
    assert_refused(&c, "train.order end-to-end trains the network as one block, block 1");
}

static void block_with_another_optimiser_or_loss_takes_the_defaults_that_go_with_it(void **state)
{
    (void)state;
    bw_config c = RESOLVED("train.batch=128", "blocks[2].optimizer.name=sgd", "blocks[3].loss.name=vicreg",
                           "blocks[4].loss.name=cross-entropy", "blocks[1].optimizer.lr=0.1");
    assert_true(bw_config_block(&c, 0).optimizer.lr == 0.1 && c.optimizer.lr == 0.7);
    assert_true(bw_config_block(&c, 1).optimizer.lr == 0.05 && bw_config_block(&c, 2).optimizer.lr == 0.7);
    assert_true(bw_config_block(&c, 1).loss.scale == 0.024 && bw_config_block(&c, 2).loss.scale == 1);
    assert_int_equal(bw_config_block(&c, 3).projector.n, 0);
    assert_int_equal(bw_config_block(&c, 2).projector.n, 3);
    assert_true(bw_config_is_set(&c, "blocks[2].optimizer.lr"));
    c = RESOLVED("blocks[2].optimizer.name=sgd", "blocks[2].optimizer.lr=0.25", "blocks[3].optimizer.lr=auto",
                 "blocks[3].head.dim=auto", "blocks[3].loss.scale=auto", "blocks[4].loss.name=simclr",
                 "blocks[4].loss.scale=2");
    assert_true(bw_config_block(&c, 1).optimizer.lr == 0.25 && bw_config_block(&c, 2).optimizer.lr == 0.4);
    assert_true(bw_config_block(&c, 2).head.dim == 2048 && bw_config_block(&c, 2).loss.scale == 0.024);
    assert_true(bw_config_block(&c, 3).loss.scale == 2);
    c = RESOLVED("loss.name=cross-entropy", "blocks[1].loss.name=barlow-twins");
    assert_true(c.projector.n == 0 && bw_config_block(&c, 0).projector.n == 3);
    assert_true(bw_config_block(&c, 0).projector.widths[1] == 2048);
    c = RESOLVED("loss.name=cross-entropy", "projector.widths=[72]", "blocks[1].loss.name=barlow-twins");
    assert_true(bw_config_block(&c, 0).projector.n == 1 && bw_config_block(&c, 0).projector.widths[0] == 72);
}

static void blocks_survive_printing_and_resolving_again(void **state)
{
    (void)state;
    bw_config once = RESOLVED("blocks[2].optimizer.name=adamw", "blocks[4].projector.widths=[8,16]",
                              "blocks[1].loss={name: simclr, temperature: 0.1}", "blocks[1].head.pool=gsp"),
              back = bw_config_default();
    char *text;
    CHECK_OK(bw_config_to_yaml(&text, &once));
    assert_non_null(strstr(text, "\nblocks[2]:\n  optimizer:\n    name: adamw\n    lr: 0.001\n"));
    assert_non_null(strstr(text, "\nblocks[4]:\n  projector:\n    widths: [8, 16]\n"));
    assert_non_null(
        strstr(text, "\nblocks[1]:\n  head:\n    pool: gsp\n  loss:\n    name: simclr\n    scale: 1\n"));
    assert_null(strstr(text, "blocks[3]"));
    CHECK_OK(load_text(&back, text));
    CHECK_OK(bw_config_resolve(&back));
    memcpy(back.is_set, once.is_set, sizeof back.is_set);
    memcpy(back.is_told, once.is_told, sizeof back.is_told);
    assert_memory_equal(&once, &back, sizeof once);
    CHECK_OK(bw_config_resolve(&back));
    assert_memory_equal(&once, &back, sizeof once);
    bw_free(text);
}

static void resumed_run_is_compared_block_by_block(void **state)
{
    (void)state;
    bw_config a = RESOLVED("blocks[2].head.pool=gsp"), b = RESOLVED("seed=0");
    assert_int_equal(bw_config_same_run(&a, &b), BW_EINVAL);
    assert_message_has("blocks[2].head.pool: the run was started with gsp and cannot be continued with cbe");
    assert_int_equal(bw_config_same_run(&b, &a), BW_EINVAL);
    assert_message_has("blocks[2].head.pool: the run was started with cbe and cannot be continued with gsp");
    a = RESOLVED("blocks[2].head.pool=cbe");
    CHECK_OK(bw_config_same_run(&a, &b));
    CHECK_OK(bw_config_same_run(&b, &a));
}

static void a_number_that_is_no_block_has_the_settings_of_the_run(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    const int none[] = { -5, -1, BW_MAX_BLOCKS, 99 };
    CHECK_OK(bw_config_set(&c, "blocks[1].optimizer.lr=3"));
    for (int i = 0; i < 4; i++) {
        bw_block_config b = bw_config_block(&c, none[i]);
        assert_memory_equal(&b.optimizer, &c.optimizer, sizeof b.optimizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_that_is_no_block_has_the_settings_of_the_run),
        cmocka_unit_test(block_has_its_own_settings_in_every_way_to_write_them),
        cmocka_unit_test(every_key_of_the_five_groups_has_a_form_for_blocks),
        cmocka_unit_test(mistakes_in_names_of_blocks_are_explained),
        cmocka_unit_test(block_that_does_not_exist_is_refused_with_how_many_there_are),
        cmocka_unit_test(block_with_another_optimiser_or_loss_takes_the_defaults_that_go_with_it),
        cmocka_unit_test(blocks_survive_printing_and_resolving_again),
        cmocka_unit_test(resumed_run_is_compared_block_by_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
