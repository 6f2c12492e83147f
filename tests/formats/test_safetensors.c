#include "check.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include "formats/file.h"
#include "formats/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char path[4200];

static int fresh_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", temp_folder());
    return 0;
}

/* A file from its parts: length field, header text, data of zero bytes. */
static void put_file(uint64_t length, const char *header, size_t data_bytes)
{
    char *file = calloc(1, 8 + strlen(header) + data_bytes + 1);
    assert_non_null(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, strlen(header));
    CHECK_OK(bw__atomic_write(path, file, 8 + strlen(header) + data_bytes));
    free(file);
}

static void assert_refused(const char *why)
{
    bw_st_file *file;
    bw_status st = bw__st_open(&file, path);
    if (st != BW_EDATA || !strstr(bw_last_error(), why) || !strstr(bw_last_error(), path))
        fail_msg("status %d, message '%s', want '%s'", st, st ? bw_last_error() : "", why);
    assert_null(file);
}

static void tensors_and_metadata_come_back(void **state)
{
    (void)state;
    const float a[6] = { 1, -2, 3, 4.5f, 5, 6 };
    const int64_t tracked = 7;
    const uint8_t bytes[3] = { 9, 8, 255 };
    const bw_st_tensor want[] = {
        { "layer1.0.conv1.weight", BW_ST_F32, 2, { 2, 3 }, a, sizeof a },
        { "bn1.num_batches_tracked", BW_ST_I64, 0, { 0 }, &tracked, sizeof tracked },
        { "empty", BW_ST_F64, 2, { 0, 5 }, NULL, 0 },
        { "caf\xc3\xa9 \"quoted\"", BW_ST_U8, 1, { 3 }, bytes, sizeof bytes },
    };
    const bw_st_pair metadata[] = { { "format", "pt" }, { "note", "line\nbreak" } };
    bw_st_file *file;

    CHECK_OK(bw__st_write(path, want, 4, metadata, 2));
    CHECK_OK(bw__st_open(&file, path));
    assert_int_equal(bw__st_count(file), 4);
    for (int i = 0; i < 4; i++) {
        const bw_st_tensor *t = bw__st_find(file, want[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, want[i].dtype);
        assert_int_equal(t->ndim, want[i].ndim);
        assert_memory_equal(t->shape, want[i].shape, sizeof t->shape);
        assert_int_equal(t->bytes, want[i].bytes);
        if (t->bytes > 0) assert_memory_equal(t->data, want[i].data, t->bytes);
    }
    assert_string_equal(bw__st_at(file, 0)->name, "layer1.0.conv1.weight");
    assert_null(bw__st_find(file, "layer1"));
    assert_null(bw__st_find(file, "__metadata__"));
    assert_string_equal(bw__st_metadata(file, "format"), "pt");
    assert_string_equal(bw__st_metadata(file, "note"), "line\nbreak");
    assert_null(bw__st_metadata(file, "missing"));
    bw__st_close(file);
}

static void file_has_exactly_the_documented_bytes(void **state)
{
    (void)state;
    const float x[2] = { 1, 2 };
    const bw_st_tensor t = { "w", BW_ST_F32, 2, { 2, 1 }, x, sizeof x };
    const bw_st_pair metadata = { "format", "pt" };
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                          "\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
    size_t padded = (strlen(header) + 7) / 8 * 8, bytes;
    char *text;
    uint64_t length;

    assert_int_not_equal(padded, strlen(header)); /* so that padding is tested */
    CHECK_OK(bw__st_write(path, &t, 1, &metadata, 1));
    CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
    assert_int_equal(bytes, 8 + padded + sizeof x);
    memcpy(&length, text, 8);
    assert_true(length == padded);
    assert_memory_equal(text + 8, header, strlen(header));
    for (size_t i = strlen(header); i < padded; i++)
        assert_int_equal(text[8 + i], ' ');
    assert_memory_equal(text + 8 + padded, x, sizeof x);
    bw__free(text);
}

static void every_float_type_converts_to_f32(void **state)
{
    (void)state;
    /* Halves: 1, -2, smallest subnormal, largest subnormal, largest normal, infinity, minus zero, NaN. */
    const uint16_t half[8] = { 0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x7c00, 0x8000, 0x7e01 };
    const double half_want[7] = { 1, -2, 0x1p-24, 1023 * 0x1p-24, 65504, (double)INFINITY, 0 };
    const uint16_t brain[3] = { 0x3f80, 0xc040, 0x0001 };
    const double wide[2] = { 0.1, -1e300 };
    const float single[3] = { 1.5f, -0.0f, 3e-45f };
    const uint8_t odd = 0; /* makes everything behind it unaligned */
    const bw_st_tensor t[] = {
        { "odd", BW_ST_U8, 1, { 1 }, &odd, 1 },
        { "half", BW_ST_F16, 1, { 8 }, half, sizeof half },
        { "brain", BW_ST_BF16, 1, { 3 }, brain, sizeof brain },
        { "wide", BW_ST_F64, 1, { 2 }, wide, sizeof wide },
        { "single", BW_ST_F32, 1, { 3 }, single, sizeof single },
    };
    bw_st_file *file;
    float got[8];

    CHECK_OK(bw__st_write(path, t, 5, NULL, 0));
    CHECK_OK(bw__st_open(&file, path));
    CHECK_OK(bw__st_to_f32(got, bw__st_find(file, "half")));
    for (int i = 0; i < 7; i++)
        assert_true((double)got[i] == half_want[i]);
    assert_true(signbit(got[6]) && isnan(got[7]));
    CHECK_OK(bw__st_to_f32(got, bw__st_find(file, "brain")));
    assert_true(got[0] == 1.0f && got[1] == -3.0f && got[2] == 0x1p-133f);
    CHECK_OK(bw__st_to_f32(got, bw__st_find(file, "wide")));
    assert_true(got[0] == 0.1f && isinf(got[1]) && got[1] < 0);
    CHECK_OK(bw__st_to_f32(got, bw__st_find(file, "single")));
    assert_memory_equal(got, single, sizeof single);
    assert_int_equal(bw__st_to_f32(got, bw__st_find(file, "odd")), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "'odd'"));
    bw__st_close(file);
}

static void header_keys_may_be_in_any_order(void **state)
{
    (void)state;
    const char header[] = "{\"b\":{\"shape\":[2],\"data_offsets\":[4,6],\"dtype\":\"I16\"},"
                          "\"a\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[2,2]}}";
    const char good[] = "{\"b\":{\"shape\":[2],\"data_offsets\":[1,5],\"dtype\":\"I16\"},"
                        "\"a\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[0,1]}}   ";
    bw_st_file *file;
    put_file(strlen(header), header, 6);
    assert_refused("does not fit");
    put_file(strlen(good), good, 5);
    CHECK_OK(bw__st_open(&file, path));
    assert_string_equal(bw__st_at(file, 0)->name, "a");
    assert_string_equal(bw__st_at(file, 1)->name, "b");
    assert_int_equal(bw__st_at(file, 1)->dtype, BW_ST_OTHER);
    bw__st_close(file);
}

static void lying_header_length_is_refused(void **state)
{
    (void)state;
    const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    put_file(strlen(header) + 5, header, 4);
    assert_refused("header of");
    put_file(UINT64_MAX, header, 4);
    assert_refused("first 8 bytes are not the length of a header (18446744073709551615");
    put_file(100000001, header, 4);
    assert_refused("the limit is 100000000");
    put_file(1, header, 4);
    assert_refused("does not begin with '{'");
    put_file(0, header, 4);
    assert_refused("does not begin with '{'");
    put_file(strlen(header) - 1, header, 4);
    assert_refused("not valid JSON");
    put_file(strlen(header) + 4, header, 4); /* data taken for header: '\0' is not JSON */
    assert_refused("not valid JSON");
    put_file(3, "[1]", 4);
    assert_refused("does not begin with '{'");
}

static void hostile_headers_are_refused_with_the_reason(void **state)
{
    (void)state;
#define T(type, shape, offsets) "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    const struct {
        const char *header;
        size_t data;
        const char *why;
    } bad[] = {
        { "{\"a\":" T("U8", "[2]", "[0,2]") ",\"a\":" T("U8", "[2]", "[2,4]") "}", 4, "duplicate" },
        { "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[1,3]") "}", 3, "overlaps" },
        { "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[0,2]") "}", 2, "overlaps" },
        { "{\"a\":" T("U8", "[2]", "[0,2]") ",\"b\":" T("U8", "[2]", "[3,5]") "}", 5, "hole" },
        { "{\"a\":" T("U8", "[2]", "[1,3]") "}", 3, "hole" },
        { "{\"a\":" T("U8", "[2]", "[2,0]") "}", 2, "ends before" },
        { "{\"a\":" T("U8", "[2]", "[0,2]") "}", 1, "past the end" },
        { "{\"a\":" T("U8", "[2]", "[0,2]") "}", 3, "1 bytes at the end" },
        { "{}", 1, "1 bytes at the end" },
        { "{\"a\":" T("U8", "[3]", "[0,2]") "}", 2, "does not fit" },
        { "{\"a\":" T("F32", "[3]", "[0,3]") "}", 3, "does not fit" },
        { "{\"a\":" T("F32", "[]", "[0,0]") "}", 0, "does not fit" },
        { "{\"a\":" T("U8", "[-2]", "[0,2]") "}", 2, "extent" },
        { "{\"a\":" T("U8", "[-1,-2]", "[0,2]") "}", 2, "extent" },
        { "{\"a\":" T("U8", "[2.0]", "[0,2]") "}", 2, "extent" },
        { "{\"a\":" T("U8", "[\"2\"]", "[0,2]") "}", 2, "extent" },
        { "{\"a\":" T("U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "overflows" },
        { "{\"a\":" T("F64", "[2305843009213693952]", "[0,0]") "}", 0, "overflows" },
        { "{\"a\":" T("U8", "[99999999999999999999]", "[0,0]") "}", 0, "not valid JSON" },
        { "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,2]", "[0,2]") "}", 2, "8 dimensions" },
        { "{\"a\":" T("U8", "2", "[0,2]") "}", 2, "no shape" },
        { "{\"a\":" T("U8", "[2]", "[0,2,2]") "}", 2, "data_offsets" },
        { "{\"a\":" T("U8", "[2]", "[-1,1]") "}", 2, "data_offsets" },
        { "{\"a\":" T("U8", "[2]", "[0,2.0]") "}", 2, "data_offsets" },
        { "{\"a\":" T("U8", "[2]", "[9223372036854775805,9223372036854775807]") "}", 2, "past the end" },
        { "{\"a\":" T("U9", "[2]", "[0,2]") "}", 2, "unknown dtype" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "no dtype" },
        { "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "no dtype" },
        { "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,2]}}", 2, "no shape" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", 2, "data_offsets" },
        { "{\"a\":[1,2]}", 2, "no dtype" },
        { "{\"a\":null}", 2, "no dtype" },
        { "{\"__metadata__\":{\"x\":1}}", 0, "'x' is not a string" },
        { "{\"__metadata__\":[]}", 0, "not an object" },
        { "{\"a\\u0000b\":" T("U8", "[2]", "[0,2]") "}", 2, "not valid JSON" },
        { "{\"a\xff\":" T("U8", "[2]", "[0,2]") "}", 2, "not valid JSON" },
        { "{not json}", 0, "not valid JSON" },
    };
#undef T
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_file(strlen(bad[i].header), bad[i].header, bad[i].data);
        assert_refused(bad[i].why);
    }
}

static void deep_nesting_is_refused_without_harm(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *header = malloc(DEEP + 6);
    assert_non_null(header);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEEP);
    header[DEEP + 5] = '\0';
    put_file(strlen(header), header, 0);
    free(header);
    assert_refused("not valid JSON");
}

static void truncation_at_every_byte_is_refused(void **state)
{
    (void)state;
    const float x[3] = { 1, 2, 3 };
    const bw_st_tensor t = { "w", BW_ST_F32, 1, { 3 }, x, sizeof x };
    char *text;
    size_t bytes;
    CHECK_OK(bw__st_write(path, &t, 1, NULL, 0));
    CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
    for (size_t n = 0; n < bytes; n++) {
        CHECK_OK(bw__atomic_write(path, text, n));
        assert_refused("safetensors");
    }
    bw__free(text);
}

static void missing_file_and_folder_are_refused(void **state)
{
    (void)state;
    assert_refused("No such file");
    *strrchr(path, '/') = '\0';
    assert_refused("not a regular file");
}

static void writer_refuses_what_no_reader_would_take(void **state)
{
    (void)state;
    const float x[3] = { 1, 2, 3 };
    const bw_st_tensor twice[] = { { "w", BW_ST_F32, 1, { 3 }, x, 12 }, { "w", BW_ST_F32, 1, { 3 }, x, 12 } };
    const bw_st_tensor bad[] = {
        { "w", BW_ST_F32, 1, { 3 }, x, 8 },
        { "w", BW_ST_OTHER, 1, { 12 }, x, 12 },
        { "w", BW_ST_F32, 1, { -3 }, x, 12 },
        { "w\xff", BW_ST_F32, 1, { 3 }, x, 12 },
        { "__metadata__", BW_ST_F32, 1, { 3 }, x, 12 },
    };
    bw_st_file *file;
    assert_int_equal(bw__st_write(path, twice, 2, NULL, 0), BW_EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(bw__st_write(path, &bad[i], 1, NULL, 0), BW_EINVAL);
    assert_int_equal(bw__st_open(&file, path), BW_EDATA); /* nothing was left behind */
    assert_non_null(strstr(bw_last_error(), "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tensors_and_metadata_come_back, fresh_path),
        cmocka_unit_test_setup(file_has_exactly_the_documented_bytes, fresh_path),
        cmocka_unit_test_setup(every_float_type_converts_to_f32, fresh_path),
        cmocka_unit_test_setup(header_keys_may_be_in_any_order, fresh_path),
        cmocka_unit_test_setup(lying_header_length_is_refused, fresh_path),
        cmocka_unit_test_setup(hostile_headers_are_refused_with_the_reason, fresh_path),
        cmocka_unit_test_setup(deep_nesting_is_refused_without_harm, fresh_path),
        cmocka_unit_test_setup(truncation_at_every_byte_is_refused, fresh_path),
        cmocka_unit_test_setup(missing_file_and_folder_are_refused, fresh_path),
        cmocka_unit_test_setup(writer_refuses_what_no_reader_would_take, fresh_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
