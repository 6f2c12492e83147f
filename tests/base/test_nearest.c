#include "check.h"
#include "base/nearest.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void distance_counts_letters_that_change_come_or_go(void **state)
{
    (void)state;
    assert_int_equal(bw__word_distance("", "abc"), 3);
    assert_int_equal(bw__word_distance("kitten", "sitting"), 3);
    assert_int_equal(bw__word_distance("sitting", "kitten"), 3);
    assert_int_equal(bw__word_distance("knn", "knn"), 0);
    assert_int_equal(bw__word_distance("stpe", "step"), 1); /* or change places */
    assert_int_equal(bw__word_distance("probe", "rpoeb"), 2);
}

static void nearest_is_the_closest_or_none(void **state)
{
    static const char *const words[] = { "probe", "pretrain", "plan" };
    (void)state;
    assert_string_equal(bw__nearest("pretrian", words, 3), "pretrain");
    assert_string_equal(bw__nearest("pre", words, 3), "pretrain"); /* its beginning */
    assert_string_equal(bw__nearest("plam", words, 3), "plan");
    assert_null(bw__nearest("knn", words, 3));
    assert_null(bw__nearest("flag", words, 3)); /* two of four letters: a guess */
    assert_null(bw__nearest("", words, 3));
}

static void hint_names_what_is_missing_and_what_is_near(void **state)
{
    char root[4200], path[4400], want[9000], hint[9000];
    (void)state;
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(path, sizeof path, "%s/photos", root);
    assert_int_equal(mkdir(path, 0777), 0);
    (void)snprintf(path, sizeof path, "%s/fotos", root);
    bw__missing_hint(hint, sizeof hint, path);
    (void)snprintf(want, sizeof want, "; did you mean '%s/photos'?", root);
    assert_string_equal(hint, want);
    (void)snprintf(path, sizeof path, "%s/fotos//2024/june", root);
    bw__missing_hint(hint, sizeof hint, path);
    (void)snprintf(want, sizeof want, "; there is no %s/fotos; did you mean '%s/photos'?", root, root);
    assert_string_equal(hint, want);
    (void)snprintf(path, sizeof path, "%s/photos/zebra", root);
    bw__missing_hint(hint, sizeof hint, path);
    assert_string_equal(hint, "");
    (void)snprintf(path, sizeof path, "%s/phone", root);
    bw__missing_hint(hint, sizeof hint, path);
    assert_string_equal(hint, ""); /* two of five letters and one more */
    bw__missing_hint(hint, 9, "/fotso");
    assert_true(strlen(hint) < 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_letters_that_change_come_or_go),
        cmocka_unit_test(nearest_is_the_closest_or_none),
        cmocka_unit_test(hint_names_what_is_missing_and_what_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
