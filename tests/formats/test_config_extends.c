#include "check.h"
#include "config_texts.h"
#include "formats/atomic_file.h"
#include <sys/stat.h>

static char folder[4096];

/* The path of NAME in the folder of the test, with `text` in it. */
static const char *file(const char *name, const char *text)
{
    static char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(bw__atomic_write(path, text, strlen(text)));
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    char below[4200];
    (void)snprintf(folder, sizeof folder, "%s", temp_folder());
    (void)snprintf(below, sizeof below, "%s/below", folder);
    return mkdir(below, 0777) == 0 && setenv("BLOCKWISE_RECIPES", folder, 1) == 0 ? 0 : -1;
}

static void text_begins_with_the_recipe_wherever_the_line_stands(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    (void)file("base.yaml", "# base\nseed: 5\ntrain: {batch: 64, epochs: 7}\nblocks[1].head.dim: 16\n");
    CHECK_OK(load_text(&c, "train.batch: 32\nmodel:\n  width: 16\nextends: base\n"));
    assert_true(c.seed == 5 && c.train.batch == 32 && c.train.epochs == 7 && c.model.width == 16);
    assert_int_equal(bw_config_block(&c, 0).head.dim, 16);
    assert_true(bw_config_is_set(&c, "seed"));
    c = bw_config_default();
    CHECK_OK(load_text(&c, "extends: base\ntrain.batch: 32\n"));
    assert_true(c.seed == 5 && c.train.batch == 32);
    c = bw_config_default();
    assert_int_equal(load_text(&c, "train: {extends: base}\n"), BW_EINVAL); /* only at the top */
    assert_message_has("unknown key 'train.extends'");
    CHECK_OK(load_text(&c, "{model: {width: 24}, extends: base, projector.widths: [8, 8]}"));
    assert_true(c.seed == 5 && c.model.width == 24 && c.projector.n == 2);
}

static void recipe_may_extend_one_that_extends_another(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    (void)file("first.yaml", "seed: 1\nthreads: 1\ntrain.epochs: 1\n");
    (void)file("second.yaml", "threads: 2\nextends: first\ntrain.epochs: 2\n");
    (void)file("third.yaml", "extends: second\ntrain.epochs: 3\n");
    CHECK_OK(bw_config_load_recipe(&c, "third"));
    assert_true(c.seed == 1 && c.threads == 2 && c.train.epochs == 3);
}

static void file_may_extend_a_recipe_or_a_file_beside_it(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    (void)file("base.yaml", "seed: 5\n");
    (void)file("below/near.yaml", "seed: 6\n");
    CHECK_OK(bw_config_load_file(&c, file("below/mine.yaml", "extends: near.yaml\n")));
    assert_true(c.seed == 6);
    CHECK_OK(bw_config_load_file(&c, file("below/mine.yaml", "extends: ../base.yaml\n")));
    assert_true(c.seed == 5);
    CHECK_OK(bw_config_load_file(&c, file("below/mine.yaml", "extends: base\nthreads: 3\n")));
    assert_true(c.seed == 5 && c.threads == 3);
}

/* Loading a file with `text` fails, says where and why, and changes nothing. */
static void refused(const char *text, const char *where, const char *why)
{
    bw_config c = bw_config_default(), before = c;
    assert_int_equal(bw_config_load_file(&c, file("mine.yaml", text)), BW_EINVAL);
    assert_message_has(where);
    assert_message_has(why);
    assert_memory_equal(&c, &before, sizeof c);
}

static void what_cannot_be_extended_is_refused_with_file_and_line(void **state)
{
    (void)state;
    (void)file("base.yaml", "seed: 5\n");
    (void)file("bad.yaml", "\nsead: 5\n");
    (void)file("one.yaml", "seed: 1\nextends: two\n");
    (void)file("two.yaml", "extends: one\n");
    refused("seed: 1\nextends: nothing\n",
            "mine.yaml:2: extends: unknown recipe 'nothing'; there are: ", "base");
    refused("seed: 1\n\nextends: nothing.yaml\n", "mine.yaml:3: extends: there is no file ", "/nothing.yaml");
    refused("extends: mine.yaml\n", "mine.yaml:1: extends: 'mine.yaml' leads back to itself", "");
    refused("extends: mine\n", "mine.yaml:1: extends: 'mine' leads back to itself", "");
    refused("extends: one\n", "mine.yaml:1: recipe one:2: recipe two:1: extends: 'one' leads back", "");
    refused("extends: bad\n", "mine.yaml:1: recipe bad:2: unknown key 'sead'", "");
    refused("extends: base\nseed: 2\nextends: base\n", "mine.yaml:3: extends is given twice, first in line 1",
            "");
    refused("extends:\n", "mine.yaml:1: extends: the name of a recipe or of a .yaml file", "");
    refused("extends: [base]\n", "mine.yaml:1: extends: the name of a recipe", "");
    refused("extends: {a: base}\n", "mine.yaml:1: ", "unknown key 'extends.a'");
    refused("extends: ../../etc\n", "mine.yaml:1: extends: there is no file", "");
    bw_config c = bw_config_default();
    assert_int_equal(bw_config_set(&c, "extends=base"), BW_EINVAL);
    assert_message_has("extends is for files; give the recipe with --recipe");
    assert_int_equal(load_text(&c, "extends: base.yaml\n"), BW_EINVAL);
    assert_message_has("is a file, which only another file can begin with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_begins_with_the_recipe_wherever_the_line_stands),
        cmocka_unit_test(recipe_may_extend_one_that_extends_another),
        cmocka_unit_test(file_may_extend_a_recipe_or_a_file_beside_it),
        cmocka_unit_test(what_cannot_be_extended_is_refused_with_file_and_line),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
