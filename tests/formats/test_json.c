#include "check.h"
#include "base/memory.h"
#include "formats/checksum.h"
#include "formats/atomic_file.h"
#include "formats/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_line(json_t *value, const char *want)
{
    char *line;
    CHECK_OK(bw__json_line(&line, value));
    assert_string_equal(line, want);
    bw__free(line);
    json_decref(value);
}

static void keys_keep_their_order_and_numbers_their_digits(void **state)
{
    (void)state;
    const double x[] = { 0.1, 1.0 / 3, -1e30 };
    json_t *o = json_object();
    assert_int_equal(json_object_set_new(o, "z", json_integer(3)), 0);
    assert_int_equal(json_object_set_new(o, "a", bw__json_reals(x, 3)), 0);
    assert_line(o, "{\"z\":3,\"a\":[0.1,0.333333333,-1e30]}");
}

static void numbers_that_are_not_finite_become_null(void **state)
{
    (void)state;
    const double x[] = { (double)NAN, 2.5, (double)INFINITY };
    assert_line(bw__json_reals(x, 3), "[null,2.5,null]");
    assert_line(bw__json_real(-(double)INFINITY), "null");
}

static void text_that_is_not_utf8_is_replaced_not_lost(void **state)
{
    (void)state;
    assert_line(bw__json_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82"),
                "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82\"");
    /* Latin-1, an overlong slash, a surrogate, past U+10FFFF, a cut sequence. */
    assert_line(bw__json_text("caf\xe9/x"), "\"caf\xef\xbf\xbd/x\"");
    const char *bad[] = { "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bw__json_is_utf8(bad[i]));
}

static void value_that_could_not_be_built_is_no_memory(void **state)
{
    (void)state;
    char *line;
    assert_int_equal(bw__json_line(&line, NULL), BW_ENOMEM);
    assert_null(line);
}

static void damaged_json_names_origin_and_line(void **state)
{
    (void)state;
    const char *bad[] = { "{\"a\":1,\n\"a\":2}", "{\n\"a\":", "[1,\n2]x", "\n\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *value;
        assert_int_equal(bw__json_parse(&value, bad[i], strlen(bad[i]), "some.json"), BW_EDATA);
        assert_null(value);
        assert_non_null(strstr(bw_last_error(), "some.json:2: not valid JSON"));
    }
}

static void checksum_of_a_file_is_that_of_its_bytes(void **state)
{
    (void)state;
    enum { N = 2500001 }; /* more than two of the pieces a file is read in */
    char path[4200];
    uint64_t sum;
    unsigned char *data = malloc(N);
    assert_non_null(data);
    for (size_t i = 0; i < N; i++)
        data[i] = (unsigned char)(i * i >> 5);
    (void)snprintf(path, sizeof path, "%s/data", temp_folder());
    CHECK_OK(bw__atomic_write(path, data, N));
    CHECK_OK(bw__checksum_file(&sum, path));
    assert_true(sum == bw__checksum(data, N));
    data[N - 1] ^= 1;
    assert_true(sum != bw__checksum(data, N));
    free(data);
    /* XXH3_64bits("") with seed 0, from its specification. */
    assert_true(bw__checksum("", 0) == 0x2d06800538d394c2u);
    (void)strcat(path, ".missing");
    assert_int_equal(bw__checksum_file(&sum, path), BW_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_keep_their_order_and_numbers_their_digits),
        cmocka_unit_test(numbers_that_are_not_finite_become_null),
        cmocka_unit_test(text_that_is_not_utf8_is_replaced_not_lost),
        cmocka_unit_test(value_that_could_not_be_built_is_no_memory),
        cmocka_unit_test(damaged_json_names_origin_and_line),
        cmocka_unit_test(checksum_of_a_file_is_that_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
