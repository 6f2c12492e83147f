#include "mutations.h"
#include "../../fuzz/fuzz_config.c"

static const char *const WORDS[] = {
    "\n",  ": ", "- ", "[",   "]",      "{",  "}",  "auto",     "&a ",   "*a", "|",
    "\"",  "'",  "#",  "---", "!!int ", "? ", "\t", "augment.", "1e308", "-1", "18446744073709551616",
    "\xff"
};

static void damaged_configurations_do_no_harm(void **state)
{
    (void)state;
    bw_config config = bw_config_default();
    char *text;
    CHECK_OK(bw_config_to_yaml(&text, &config));
    run_mutations(text, strlen(text), WORDS, sizeof WORDS / sizeof *WORDS, 1000);
    free(text);
    const char small[] = "train.batch=64\nmodel: {width: 16}\naugment.crop_scale: [0.1, 1]\n";
    run_mutations(small, strlen(small), WORDS, sizeof WORDS / sizeof *WORDS, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(damaged_configurations_do_no_harm) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
