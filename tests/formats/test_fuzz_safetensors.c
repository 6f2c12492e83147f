#include "mutations.h"
#include "../../fuzz/fuzz_safetensors.c"
#include "formats/file.h"
#include <stdio.h>

static const char *const WORDS[] = { "{",   "}",       "[",          "]",
                                     ",",   ":",       "\"",         "null",
                                     "F16", "BF16",    "I64",        "F64",
                                     "-1",  "0",       "4294967296", "9223372036854775807",
                                     "1e5", "\\u0000", "\"shape\"",  "\"data_offsets\"",
                                     " " };

static void damaged_model_files_do_no_harm(void **state)
{
    (void)state;
    char path[4200], *text;
    size_t bytes;
    const float x[12] = { 1, 2, 3 };
    const bw_st_tensor t[] = { { "a.weight", BW_ST_F32, 2, { 2, 3 }, x, 24 },
                               { "b", BW_ST_F16, 1, { 5 }, x, 10 },
                               { "c", BW_ST_F64, 0, { 0 }, x, 8 } };
    const bw_st_pair metadata = { "format", "pt" };
    (void)snprintf(path, sizeof path, "%s/model.safetensors", temp_folder());
    CHECK_OK(bw__st_write(path, t, 3, &metadata, 1));
    CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
    run_mutations(text, bytes, WORDS, sizeof WORDS / sizeof *WORDS, 20000);
    bw__free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(damaged_model_files_do_no_harm) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
