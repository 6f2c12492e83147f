/* The page around its data: one file, nothing from elsewhere, and no data that could end its element. */
#include "check.h"
#include "base/memory.h"
#include "formats/file.h"
#include "report/page.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static char *page_of(const char *value)
{
    char *text = NULL;
    size_t bytes = 0;
    json_t *data = json_object();
    assert_int_equal(json_object_set_new(data, "title", json_string(value)), 0);
    CHECK_OK(bw__page_text(&text, &bytes, data));
    assert_int_equal(strlen(text), bytes);
    json_decref(data);
    return text;
}

static void data_cannot_leave_its_element(void **state)
{
    (void)state;
    char *plain = page_of("a title"), *hostile = page_of("</script><script>alert(1)</script><!-- <b>");
    assert_int_equal(count(hostile, "<script"), count(plain, "<script"));
    assert_int_equal(count(hostile, "</script"), count(plain, "</script"));
    assert_int_equal(count(hostile, "<!--"), count(plain, "<!--"));
    assert_non_null(strstr(hostile, "\\u003c/script>\\u003cscript>alert(1)"));
    bw__free(plain);
    bw__free(hostile);
}

static void data_reads_back_as_it_was(void **state)
{
    (void)state;
    static const char VALUE[] = "</script> \\u003c \xc3\xa4 \"quoted\" &amp;", BEGIN[] = "id=\"data\">";
    char *text = page_of(VALUE), *json = strstr(text, BEGIN);
    assert_non_null(json);
    json += strlen(BEGIN);
    char *end = strstr(json, "</script>");
    assert_non_null(end);
    json_t *data = NULL;
    CHECK_OK(bw__json_parse(&data, json, (size_t)(end - json), "page"));
    assert_string_equal(json_string_value(json_object_get(data, "title")), VALUE);
    json_decref(data);
    bw__free(text);
}

static void everything_is_in_the_page(void **state)
{
    (void)state;
    char *text = page_of("x");
    assert_non_null(strstr(text, "default-src 'none'"));
    assert_non_null(strstr(text, "dygraphs/blob/v2")); /* the library with its licence */
    assert_non_null(strstr(text, "Permission is hereby granted"));
    assert_non_null(strstr(text, "function build(data)"));
    assert_int_equal(count(text, "src=\"http"), 0);
    assert_int_equal(count(text, "<link"), 1); /* the icon, which is empty */
    assert_int_equal(count(text, "@import"), 0);
    assert_int_equal(count(text, "@page"), 0); /* a place that was not filled */
    assert_int_equal(count(text, "@DATA@"), 0);
    bw__free(text);
}

static void a_page_that_cannot_be_written_is_not_there(void **state)
{
    (void)state;
    char path[4200];
    json_t *data = json_object();
    (void)snprintf(path, sizeof path, "%s/no/such/folder/report.html", temp_folder());
    assert_int_equal(bw__page_write(path, data), BW_EIO);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%s/report.html", temp_folder());
    CHECK_OK(bw__page_write(path, data));
    assert_int_equal(access(path, F_OK), 0);
    json_decref(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_cannot_leave_its_element),
        cmocka_unit_test(data_reads_back_as_it_was),
        cmocka_unit_test(everything_is_in_the_page),
        cmocka_unit_test(a_page_that_cannot_be_written_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
