/* What tests of several formats ask of a data set. */
#ifndef BW_TESTS_DATASET_CHECK_H
#define BW_TESTS_DATASET_CHECK_H
#include "blockwise/dataset.h"
#include "temp_files.h"

static inline void expect_open_failure(const char *path, bw_split split, const char *format, bw_status status,
                                       const char *words)
{
    bw_dataset *d = (bw_dataset *)&status;
    assert_int_equal(bw_dataset_open(&d, path, split, format), status);
    assert_null(d);
    if (!strstr(bw_last_error(), words)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), words);
}

/* `want` holds "name label" of every image in order, separated by "; ". Frees the data set. */
static inline void expect_images(bw_dataset *d, const char *format, const char *want)
{
    char got[2000] = "";
    for (int64_t i = 0; i < bw_dataset_size(d); i++) {
        char name[200];
        size_t n = strlen(got);
        bw_dataset_name(d, i, name, sizeof name);
        (void)snprintf(got + n, sizeof got - n, "%s%s %d", i ? "; " : "", name, bw_dataset_label(d, i));
    }
    assert_string_equal(got, want);
    assert_string_equal(bw_dataset_format(d), format);
    bw_dataset_free(d);
}

static inline bw_dataset *open_or_fail(const char *path, bw_split split, const char *format)
{
    bw_dataset *d = NULL;
    CHECK_OK(bw_dataset_open(&d, path, split, format));
    return d;
}
#endif
