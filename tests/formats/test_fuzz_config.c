#include "mutations.h"
#include "../../fuzz/fuzz_config.c"

static const char *const WORDS[] = { "\n",         ": ",
                                     "- ",         "[",
                                     "]",          "{",
                                     "}",          "auto",
                                     "&a ",        "*a",
                                     "|",          "\"",
                                     "'",          "#",
                                     "---",        "!!int ",
                                     "? ",         "\t",
                                     "augment.",   "1e308",
                                     "blocks[2].", "blocks: {1: ",
                                     "]",          "extends: cifar10\n",
                                     "-1",         "18446744073709551616",
                                     "\xff",       ", 1, 1, 1, 1, 1, 1, 1, 1, 1" };

static void damaged_configurations_do_no_harm(void **state)
{
    (void)state;
    bw_config config = bw_config_default();
    char *text;
    CHECK_OK(bw_config_to_yaml(&text, &config));
    run_mutations(text, strlen(text), WORDS, sizeof WORDS / sizeof *WORDS, 400);
    bw_free(text);
    const char lines[] = "model: {width: 16}\naugment.crop_scale: [0.1, 1]\n"
                         "projector.widths: [8, 16]\ntrain:\n  epochs: 7\n"
                         "blocks[2]: {head.dim: 16, loss: {name: vicreg}}\nextends: cifar10\n";
    const char *const small[] = { "projector.widths=[8, 16, 24]", "blocks[3].optimizer={name: sgd, lr: 0.5}",
                                  "train.batch=64", lines };
    for (int i = 0; i < 4; i++)
        run_mutations(small[i], strlen(small[i]), WORDS, sizeof WORDS / sizeof *WORDS, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(damaged_configurations_do_no_harm) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
