/* Subsets of a data set: views, shares of the labels, lists of names. */
#include "base/memory.h"
#include "data/dataset_internal.h"
#include "data/subset.h"
#include "temp_files.h"

enum { SIZE = 607, CLASSES = 4 };

/* Image i is one pixel of value i % 256 called "train/class-C/image-II.jpg", where II repeats from class to
 * class. */
static bw_status tiny_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    (void)dataset;
    if (!image->rgb) {
        void *mem = NULL;
        bw_status st = bw__alloc(&mem, 3);
        if (st != BW_OK) return st;
        image->rgb = mem;
        image->capacity = 3;
    }
    image->height = image->width = 1;
    memset(image->rgb, (int)(index % 256), 3);
    return BW_OK;
}

static void tiny_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    (void)snprintf(name, size, "train/class-%d/image-%02lld.jpg", dataset->labels[index],
                   (long long)(index < 39 ? index / 3 : index));
}

static void tiny_close(void *source)
{
    (void)source;
}

static const bw_data_store tiny_store = { .read = tiny_read, .name = tiny_name, .close = tiny_close };
static bw_dataset all;

/* Class 3 has four images only, and every fiftieth image no label. */
static int setup(void **state)
{
    (void)state;
    all = (bw_dataset){ .store = &tiny_store, .size = SIZE };
    CHECK_OK(bw__dataset_set_classes(&all, NULL, CLASSES));
    CHECK_OK(BW_ALLOC(&all.labels, SIZE));
    for (int64_t i = 0; i < SIZE; i++)
        all.labels[i] = i % 50 == 49 ? -1 : i % 120 == 119 ? 3 : (int32_t)(i % 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bw__dataset_close(&all);
    return 0;
}

static void subset_has_images_labels_names_and_classes_of_the_chosen(void **state)
{
    (void)state;
    const int64_t index[3] = { 119, 4, 49 };
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    char name[100], want[100];
    CHECK_OK(bw__dataset_subset(&d, &all, index, 3));
    assert_int_equal(bw_dataset_size(d), 3);
    assert_int_equal(bw_dataset_classes(d), CLASSES);
    assert_string_equal(bw_dataset_class_name(d, 2), "2");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bw_dataset_label(d, i), bw_dataset_label(&all, index[i]));
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.rgb[2], index[i] % 256);
        bw_dataset_name(d, i, name, sizeof name);
        bw_dataset_name(&all, index[i], want, sizeof want);
        assert_string_equal(name, want);
    }
    bw_image_clear(&image);
    bw_dataset_free(d);
}

static bool holds(const bw_image_list *list, int64_t index)
{
    for (int64_t i = 0; i < list->n; i++)
        if (list->index[i] == index) return true;
    return false;
}

static void shares_are_by_class_at_least_one_and_nested(void **state)
{
    (void)state;
    bw_image_list one, ten, whole, again, other;
    int64_t size[CLASSES] = { 0 }, got[CLASSES] = { 0 };
    for (int64_t i = 0; i < SIZE; i++)
        if (all.labels[i] >= 0) size[all.labels[i]]++;
    assert_int_equal(size[3], 4);
    CHECK_OK(bw__label_fraction(&one, &all, 0.01, 6));
    CHECK_OK(bw__label_fraction(&ten, &all, 0.1, 6));
    CHECK_OK(bw__label_fraction(&again, &all, 0.1, 6));
    CHECK_OK(bw__label_fraction(&other, &all, 0.1, 7));
    CHECK_OK(bw__label_fraction(&whole, &all, 1, 6));
    for (int64_t i = 0; i < ten.n; i++) {
        got[all.labels[ten.index[i]]]++;
        assert_true(i == 0 || ten.index[i] > ten.index[i - 1]);
    }
    for (int c = 0; c < 3; c++)
        assert_true(10 * got[c] >= size[c] - 5 && 10 * got[c] <= size[c] + 5);
    assert_int_equal(got[3], 1);
    assert_int_equal(one.n, 2 + 2 + 2 + 1);
    for (int64_t i = 0; i < one.n; i++)
        assert_true(holds(&ten, one.index[i]));
    assert_int_equal(whole.n, size[0] + size[1] + size[2] + size[3]);
    assert_int_equal(again.n, ten.n);
    assert_memory_equal(again.index, ten.index, (size_t)ten.n * sizeof *ten.index);
    assert_memory_not_equal(other.index, ten.index, (size_t)ten.n * sizeof *ten.index);
    /* Not the first of each class: those would be the same for every seed. */
    assert_true(ten.index[ten.n - 1] > SIZE / 2);
    bw_image_list *const lists[] = { &one, &ten, &whole, &again, &other };
    for (int i = 0; i < 5; i++)
        bw__image_list_clear(lists[i]);
    assert_int_equal(bw__label_fraction(&one, &all, 0, 6), BW_EINVAL);
    assert_int_equal(bw__label_fraction(&one, &all, 1.5, 6), BW_EINVAL);
}

static void list_finds_full_names_and_file_names(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_image_list list;
    write_text(
        folder, "list.txt",
        "# some\nimage-300.jpg\r\n\nclass-0/image-00.jpg  \ntrain/class-1/image-100.jpg\nimage-300.jpg\n");
    CHECK_OK(bw__label_list_read(&list, &all, in(folder, "list.txt")));
    const int64_t want[3] = { 0, 100, 300 };
    assert_int_equal(list.n, 3);
    assert_memory_equal(list.index, want, sizeof want);
    bw__image_list_clear(&list);
    remove_folder(folder);
}

static void a_list_that_was_written_reads_back(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_image_list list, back;
    /* Of the first forty images several share a name: they are left out here. */
    int64_t index[3] = { 42, 119, 600 };
    list = (bw_image_list){ index, 3 };
    CHECK_OK(bw__label_list_write(in(folder, "list.txt"), &all, &list));
    CHECK_OK(bw__label_list_read(&back, &all, in(folder, "list.txt")));
    assert_int_equal(back.n, 3);
    assert_memory_equal(back.index, index, sizeof index);
    bw__image_list_clear(&back);
    remove_folder(folder);
}

/* Longer by far whenever it is asked again, as a program's own source may answer. */
static void growing_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    int *asked = dataset->source;
    const int times = asked[index]++;
    (void)snprintf(name, size, "%0*d/image-%02lld.jpg", 1 + 500 * times, 0, (long long)index);
}

static void names_that_change_stay_in_their_room(void **state)
{
    (void)state;
    static int asked[SIZE];
    const bw_data_store store = { .read = tiny_read, .name = growing_name, .close = tiny_close };
    bw_dataset growing = all;
    char *folder = new_folder();
    bw_image_list list;
    growing.store = &store;
    growing.source = asked;
    write_text(folder, "list.txt", "0/image-300.jpg\nimage-606.jpg\n");
    CHECK_OK(bw__label_list_read(&list, &growing, in(folder, "list.txt")));
    const int64_t want[2] = { 300, 606 };
    assert_int_equal(list.n, 2);
    assert_memory_equal(list.index, want, sizeof want);
    bw__image_list_clear(&list);
    remove_folder(folder);
}

static void expect_bad_list(const char *folder, const char *text, const char *words)
{
    bw_image_list list;
    write_text(folder, "list.txt", text);
    assert_int_equal(bw__label_list_read(&list, &all, in(folder, "list.txt")), BW_EDATA);
    assert_null(list.index);
    if (!strstr(bw_last_error(), words)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), words);
}

static void names_that_are_not_one_labelled_image_are_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_image_list list;
    expect_bad_list(folder, "image-300.jpg\nimage-9999.jpg\nimage-8888.jpg\n",
                    "list.txt: 2 of 3 names are no images of the data set, the first is image-9999.jpg");
    expect_bad_list(folder, "image-00.jpg\n", "image-00.jpg is the name of 3 images");
    expect_bad_list(folder, "mage-300.jpg\n", "1 of 1 names");
    expect_bad_list(folder, "image-99.jpg\n", "has no label");
    expect_bad_list(folder, "# nothing\n", "no names of images");
    assert_int_equal(bw__label_list_read(&list, &all, in(folder, "nowhere")), BW_EDATA);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subset_has_images_labels_names_and_classes_of_the_chosen),
        cmocka_unit_test(shares_are_by_class_at_least_one_and_nested),
        cmocka_unit_test(list_finds_full_names_and_file_names),
        cmocka_unit_test(a_list_that_was_written_reads_back),
        cmocka_unit_test(names_that_change_stay_in_their_room),
        cmocka_unit_test(names_that_are_not_one_labelled_image_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
