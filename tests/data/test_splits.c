#include "data/memory_dataset.h"
#include "data/splits.h"

static void expect(bw_dataset *train, bw_dataset *test, const char *message)
{
    bw_status st = bw__check_splits(train, test, "linear probe");
    assert_int_equal(st, message ? BW_EDATA : BW_OK);
    if (message) assert_string_equal(bw_last_error(), message);
}

static void splits_need_labels_two_classes_and_the_same_classes(void **state)
{
    (void)state;
    memory_images images = { 0 };
    const char *animals[3] = { "cat", "dog", "owl" }, *others[3] = { "cat", "eel", "owl" };
    bw_dataset none = memory_dataset(&images, 6, 0, NULL), one = memory_dataset(&images, 6, 1, animals),
               two = memory_dataset(&images, 6, 2, animals), three = memory_dataset(&images, 6, 3, animals),
               other = memory_dataset(&images, 6, 3, others);
    expect(&three, &three, NULL);
    expect(&three, &two, NULL);
    expect(&none, &two, "linear probe: the training images (memory) have no labels; give data with classes");
    expect(&one, &two,
           "linear probe: the training images are all of one class ('cat'); it needs two classes");
    expect(&two, &none, "linear probe: the test images (memory) have no labels; give data with classes");
    expect(&three, &other,
           "linear probe: class 2 is 'dog' in the training split and 'eel' in the test split");
    expect(&two, &three, "linear probe: class 'owl' is in the test split only");
    memory_dataset_free(&none);
    memory_dataset_free(&one);
    memory_dataset_free(&two);
    memory_dataset_free(&three);
    memory_dataset_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        splits_need_labels_two_classes_and_the_same_classes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
