#include "check.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include "formats/file.h"
#include "formats/npy.h"
#include <stdio.h>
#include <string.h>

static char path[4200];

static int fresh_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/array.npy", temp_folder());
    return 0;
}

static void header_is_numpys_own(void **state)
{
    (void)state;
    /* numpy.save of arange(6, dtype=int64).reshape(2, 3): 128 bytes of header, then 48 of data. */
    const int64_t x[] = { 0, 1, 2, 3, 4, 5 }, shape[] = { 2, 3 };
    const char want[] =
        "\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }";
    char *text;
    size_t bytes;
    CHECK_OK(bw__npy_write(path, BW_NPY_I64, x, 2, shape));
    CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
    assert_int_equal(bytes, 128 + 48);
    assert_memory_equal(text, want, sizeof want - 1);
    for (size_t i = sizeof want - 1; i < 127; i++)
        assert_int_equal(text[i], ' ');
    assert_int_equal(text[127], '\n');
    assert_memory_equal(text + 128, x, sizeof x);
    bw__free(text);
}

static void shape_of_one_dimension_is_a_tuple_and_of_none_is_empty(void **state)
{
    (void)state;
    const int64_t shape[] = { 3 };
    const char *want[] = { "'shape': (), }", "'shape': (3,), }" };
    for (int ndim = 0; ndim < 2; ndim++) {
        char *text;
        size_t bytes;
        CHECK_OK(bw__npy_write(path, BW_NPY_U8, "abc", ndim, shape));
        CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
        assert_non_null(strstr(text + 10, want[ndim]));
        bw__free(text);
    }
}

static void every_type_and_number_of_dimensions_comes_back(void **state)
{
    (void)state;
    static const unsigned char data[8 * 2 * 3 * 5] = { 1, 2, 3, 250, 7, [200] = 9, [239] = 77 };
    const int64_t shape[] = { 2, 3, 5, 1, 1, 1, 1, 1 };
    const int64_t count[] = { 1, 2, 6, 30, 30, 30, 30, 30, 30 }, size[] = { 4, 8, 8, 1 };
    for (int type = 0; type < 4; type++) {
        for (int ndim = 0; ndim <= 8; ndim++) {
            void *got;
            bw_npy_dtype dtype;
            int n;
            int64_t dims[8];
            CHECK_OK(bw__npy_write(path, (bw_npy_dtype)type, data, ndim, shape));
            CHECK_OK(bw__npy_read(&got, &dtype, &n, dims, path));
            assert_int_equal(dtype, type);
            assert_int_equal(n, ndim);
            if (ndim > 0) assert_memory_equal(dims, shape, (size_t)ndim * sizeof *dims);
            assert_memory_equal(got, data, (size_t)(count[ndim] * size[type]));
            bw__free(got);
        }
    }
}

static void shape_that_overflows_is_not_written(void **state)
{
    (void)state;
    const int64_t shape[] = { INT64_MAX / 2, 3 }, negative[] = { -1 };
    assert_int_equal(bw__npy_write(path, BW_NPY_F32, "", 2, shape), BW_EINVAL);
    assert_int_equal(bw__npy_write(path, BW_NPY_F32, "", 1, negative), BW_EINVAL);
}

static void refused(const char *header, size_t header_bytes, size_t data_bytes, const char *why)
{
    char file[1024] = "\x93NUMPY\x01";
    void *got;
    bw_npy_dtype dtype;
    int n;
    int64_t dims[8];
    file[8] = (char)header_bytes;
    memcpy(file + 10, header, strlen(header));
    CHECK_OK(bw__atomic_write(path, file, 10 + strlen(header) + data_bytes));
    assert_int_equal(bw__npy_read(&got, &dtype, &n, dims, path), BW_EDATA);
    assert_null(got);
    if (!strstr(bw_last_error(), why) || !strstr(bw_last_error(), path))
        fail_msg("%s: got message '%s', want '%s'", header, bw_last_error(), why);
}

static void damaged_files_are_refused_with_the_reason(void **state)
{
    (void)state;
    const struct {
        const char *header;
        size_t data;
        const char *why;
    } bad[] = {
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 11, "does not fit" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 13, "does not fit" },
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", 12, "order is not C" },
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", 12, "type" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 12, "type" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", 12, "shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3), }", 12, "shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 12, "shape" },
        /* Negative once cut to 64 bits. */
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (30000000000000000000,), }", 12, "shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4), }", 0, "does not fit" },
        { "{'descr': '<f4', 'fortran_order': False, }", 4, "lacks" },
        { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4, "unexpected key" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "unexpected key" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", 4, "damaged" },
        { "{'descr': '<f4' 'fortran_order': False, 'shape': (1,), }", 4, "damaged" },
        { "{", 4, "unexpected key" },
        { "", 4, "not a dictionary" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].header, strlen(bad[i].header), bad[i].data, bad[i].why);
    refused("{'descr': '<f4', ", 200, 4, "longer than the file");
}

static void foreign_missing_and_empty_files_are_refused(void **state)
{
    (void)state;
    void *got;
    bw_npy_dtype dtype;
    int n;
    int64_t dims[8];
    assert_int_equal(bw__npy_read(&got, &dtype, &n, dims, path), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "No such file"));
    CHECK_OK(bw__atomic_write(path, "", 0));
    assert_int_equal(bw__npy_read(&got, &dtype, &n, dims, path), BW_EDATA);
    CHECK_OK(bw__atomic_write(path, "\x93NUMPY\x03\x00\x01\x00\x00\x00 ", 13));
    assert_int_equal(bw__npy_read(&got, &dtype, &n, dims, path), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(header_is_numpys_own, fresh_path),
        cmocka_unit_test_setup(shape_of_one_dimension_is_a_tuple_and_of_none_is_empty, fresh_path),
        cmocka_unit_test_setup(every_type_and_number_of_dimensions_comes_back, fresh_path),
        cmocka_unit_test_setup(shape_that_overflows_is_not_written, fresh_path),
        cmocka_unit_test_setup(damaged_files_are_refused_with_the_reason, fresh_path),
        cmocka_unit_test_setup(foreign_missing_and_empty_files_are_refused, fresh_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
