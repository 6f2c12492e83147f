/* label: slow
 * Images by functions of a program: what a data set of them gives, and runs that are the same as those on
 * files with the same pixels. */
#include "check.h"
#include "blockwise/blockwise.h"
#include "base/memory.h"
#include "formats/file.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { IMAGES = 15, HEIGHT = 18, WIDTH = 17 };

/* --- a source --- */

typedef struct painter {
    int64_t broken; /* this image cannot be read, with `why`; -1: none */
    bw_status why;
    bool lies; /* about the room it has made */
    atomic_int reads, closed;
} painter;

static uint8_t grey(int64_t i, int64_t at)
{
    return (uint8_t)((at * (i + 3) + at / WIDTH * (i % 5 + 1) + i * 37) % 256);
}

static bw_status paint(void *user, int64_t index, bw_image *image)
{
    painter *p = user;
    p->reads++;
    if (index == p->broken)
        return p->why == BW_EDATA ? bw_error_set(BW_EDATA, "the paint has run out") : p->why;
    bw_status st = bw_image_resize(image, HEIGHT, WIDTH);
    if (st != BW_OK) return st;
    for (int64_t at = 0; at < (int64_t)HEIGHT * WIDTH; at++)
        memset(image->rgb + 3 * at, grey(index, at), 3);
    if (p->lies) image->height = 1000;
    return BW_OK;
}

static int label_of(void *user, int64_t index)
{
    (void)user;
    return index == 4 ? -1 : (int)(index % 2);
}

static void name_of(void *user, int64_t index, char *name, size_t size)
{
    (void)user;
    (void)snprintf(name, size, "canvas %d", (int)index);
}

static void close_painter(void *user)
{
    painter *p = user;
    p->closed++;
}

static bw_image_source source_of(painter *p)
{
    return (bw_image_source){
        .name = "painted", .images = IMAGES, .read = paint, .close = close_painter, .user = p
    };
}

/* --- as a data set --- */

static void a_source_gives_what_its_functions_give(void **state)
{
    (void)state;
    static const char *const classes[] = { "even", "odd" };
    painter p = { .broken = 7, .why = BW_EDATA };
    bw_image_source source = source_of(&p);
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    char name[64];
    source.classes = 2;
    source.class_names = classes;
    source.label = label_of;
    CHECK_OK(bw_dataset_from_source(&d, &source));
    assert_int_equal(bw_dataset_size(d), IMAGES);
    assert_string_equal(bw_dataset_format(d), "painted");
    assert_int_equal(bw_dataset_classes(d), 2);
    assert_string_equal(bw_dataset_class_name(d, 1), "odd");
    assert_int_equal(bw_dataset_label(d, 3), 1);
    assert_int_equal(bw_dataset_label(d, 4), -1);
    bw_dataset_name(d, 3, name, sizeof name);
    assert_string_equal(name, "painted/3");
    assert_int_equal(p.reads, 0);
    CHECK_OK(bw_dataset_read(d, 3, &image));
    assert_true(image.height == HEIGHT && image.width == WIDTH && image.rgb[3 * 20 + 1] == grey(3, 20));
    assert_int_equal(bw_dataset_read(d, 7, &image), BW_EDATA);
    assert_string_equal(bw_last_error(), "the paint has run out");
    p.why = BW_EIO;
    assert_int_equal(bw_dataset_read(d, 7, &image), BW_EIO);
    assert_string_equal(bw_last_error(),
                        "the source cannot read it: it returned -4 (file could not be read or written)");
    /* What is no status, or means something else to callers, is not passed on as it is. */
    static const int strange[] = { 7, 64, -63, -100, BW_EINTERRUPTED, BW_EEXIST };
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        p.why = (bw_status)strange[i];
        assert_int_equal(bw_dataset_read(d, 7, &image), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), "the source cannot read it: it returned"));
    }
    p.lies = true;
    assert_int_equal(bw_dataset_read(d, 3, &image), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "the source gave 1000 x 17 pixels"));
    bw_image_clear(&image);
    bw_dataset_free(d);
    assert_int_equal(p.closed, 1);
    source.image_name = name_of;
    CHECK_OK(bw_dataset_from_source(&d, &source));
    bw_dataset_name(d, 11, name, sizeof name);
    assert_string_equal(name, "canvas 11");
    bw_dataset_free(d);
}

static void images_that_are_not_there_are_answered_so(void **state)
{
    (void)state;
    static const int64_t nowhere[] = { -1, IMAGES, INT64_MIN, INT64_MAX };
    painter p = { .broken = -1 };
    bw_image_source source = source_of(&p);
    bw_pack_result result;
    const bw_pack_options nameless = { .out = NULL };
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    char name[8], text[64];
    source.classes = 2;
    source.label = label_of;
    CHECK_OK(bw_dataset_from_source(&d, &source));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(bw_dataset_read(d, nowhere[i], &image), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), "the data has 15, numbered from 0"));
        assert_int_equal(bw_dataset_label(d, nowhere[i]), -1);
        (void)snprintf(name, sizeof name, "before");
        bw_dataset_name(d, nowhere[i], name, sizeof name);
        assert_string_equal(name, "");
        bw_dataset_name(d, nowhere[i], name, 0);
        assert_int_equal(bw_dataset_problem(d, nowhere[i], text, sizeof text), 0);
    }
    assert_string_equal(bw_dataset_class_name(d, -1), "");
    assert_string_equal(bw_dataset_class_name(d, 2), "");
    assert_int_equal(p.reads, 0);
    assert_int_equal(bw_dataset_pack(&result, d, &nameless, NULL, NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "a name for the shards is missing"));
    bw_dataset_free(d);
}

static void refused(bw_image_source source, const char *message)
{
    bw_dataset *d = NULL;
    assert_int_equal(bw_dataset_from_source(&d, &source), BW_EINVAL);
    assert_null(d);
    if (!strstr(bw_last_error(), message)) fail_msg("got '%s', want '%s'", bw_last_error(), message);
}

static void sources_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    painter p = { .broken = -1 };
    bw_image_source s = source_of(&p);
    s.images = 0;
    refused(s, "0 images; it needs at least one");
    s = source_of(&p);
    s.classes = 2;
    refused(s, "2 classes without a function for labels");
    s.classes = 1;
    s.label = label_of;
    refused(s, "image 1 has label 1, and there are 1 classes");
    s = source_of(&p);
    s.read = NULL;
    refused(s, "no function to read");
    s = source_of(&p);
    s.name = "";
    refused(s, "needs a name");
    assert_int_equal(p.closed, 0);
}

static void encoded_images_are_decoded_from_memory_as_from_files(void **state)
{
    (void)state;
    const char *path = fixture_path("images/exif_6.jpg");
    bw_dataset *d = NULL;
    bw_image from_file = { 0 }, from_memory = { 0 };
    char *bytes = NULL;
    size_t size = 0;
    char name[64];
    CHECK_OK(bw__file_read(&bytes, &size, path, 1 << 24));
    CHECK_OK(bw_dataset_open(&d, path, BW_SPLIT_ANY, NULL));
    assert_string_equal(bw_dataset_format(d), "image");
    assert_int_equal(bw_dataset_size(d), 1);
    bw_dataset_name(d, 0, name, sizeof name);
    assert_string_equal(name, "exif_6.jpg");
    CHECK_OK(bw_dataset_read(d, 0, &from_file));
    CHECK_OK(bw_image_decode(&from_memory, bytes, size));
    assert_true(from_file.height == from_memory.height && from_file.width == from_memory.width);
    assert_memory_equal(from_file.rgb, from_memory.rgb, (size_t)(from_file.height * from_file.width * 3));
    assert_int_equal(bw_image_decode(&from_memory, "GIF89a", 6), BW_EDATA);
    bw_dataset_free(d);
    d = NULL;
    assert_int_equal(bw_dataset_open(&d, path, BW_SPLIT_TEST, NULL), BW_ENOSPLIT);
    assert_null(d);
    bw_image_clear(&from_file);
    bw_image_clear(&from_memory);
    bw__free(bytes);
}

/* --- as the images of a run --- */

static char root[4096];

static void write_idx(const char *folder, const char *name, bool labels)
{
    const unsigned char images[16] = { 0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH };
    const unsigned char classes[8] = { 0, 0, 8, 1, 0, 0, 0, IMAGES };
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(labels ? fwrite(classes, sizeof classes, 1, f) : fwrite(images, sizeof images, 1, f), 1);
    for (int64_t i = 0; i < IMAGES; i++)
        for (int64_t at = 0; at < (labels ? 1 : (int64_t)HEIGHT * WIDTH); at++)
            assert_true(fputc(labels ? (int)(i % 2) : grey(i, at), f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bw_config small_config(void)
{
    const char *yaml = "threads: 1\nseed: 2\nmodel: {arch: resnet18, stem: cifar, width: 8}\n"
                       "projector: {widths: [16]}\nprobe: {every: 1}\n"
                       "train: {batch: 4, epochs: 2}\ndata: {image_size: 16, threads: 3}\n";
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_load(&c, yaml, strlen(yaml), "test"));
    return c;
}

static int odd(void *user, int64_t index)
{
    (void)user;
    return (int)(index % 2);
}

static bw_dataset *painted(painter *p, int64_t images)
{
    bw_dataset *d = NULL;
    bw_image_source source = source_of(p);
    source.images = images;
    source.classes = 2;
    source.label = odd;
    CHECK_OK(bw_dataset_from_source(&d, &source));
    return d;
}

static const char *in(const char *run, const char *name)
{
    static char path[4][4400];
    static int next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s%s%s", root, run, *name ? "/" : "", name);
    return p;
}

static void check_same_file(const char *name)
{
    char *a = NULL, *b = NULL;
    size_t n = 0, m = 0;
    CHECK_OK(bw__file_read(&a, &n, in("files", name), 1 << 28));
    CHECK_OK(bw__file_read(&b, &m, in("painted", name), 1 << 28));
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    bw__free(a);
    bw__free(b);
}

static int count_scores(const char *run)
{
    char *text = NULL;
    size_t n = 0;
    int scores = 0;
    CHECK_OK(bw__file_read(&text, &n, in(run, "metrics.jsonl"), 1 << 28));
    for (const char *p = text; (p = strstr(p, "\"probe_top1\"")); p++)
        scores++;
    bw__free(text);
    return scores;
}

static void a_run_on_a_source_is_that_on_files_of_the_same_pixels(void **state)
{
    (void)state;
    painter p = { .broken = -1 };
    bw_config c = small_config();
    char *environment = NULL;
    size_t n = 0;
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)mkdir(in("data", ""), 0777);
    static const char *const parts[] = { "train", "t10k" };
    for (int i = 0; i < 2; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s-images-idx3-ubyte", parts[i]);
        write_idx(in("data", ""), name, false);
        (void)snprintf(name, sizeof name, "%s-labels-idx1-ubyte", parts[i]);
        write_idx(in("data", ""), name, true);
    }
    bw_dataset *train = painted(&p, IMAGES), *test = painted(&p, IMAGES);
    bw_pretrain_options files = { .config = &c, .data = in("data", ""), .out = in("files", "") },
                        own = { .config = &c, .dataset = train, .test = test, .out = in("painted", "") };
    CHECK_OK(bw_pretrain(&files));
    CHECK_OK(bw_pretrain(&own));
    assert_true(p.reads > 0);
    check_same_file("model.safetensors");
    check_same_file("heads.safetensors");
    assert_int_equal(count_scores("files"), 2);
    assert_int_equal(count_scores("painted"), 2);
    CHECK_OK(bw__file_read(&environment, &n, in("painted", "environment.json"), 1 << 20));
    assert_non_null(strstr(environment, "\"data\": null"));
    assert_non_null(strstr(environment, "\"data_format\": \"painted\""));
    bw__free(environment);
    bw_dataset_free(train);
    bw_dataset_free(test);
    assert_int_equal(p.closed, 2);
}

static int stop_after_two;

static void count_step(void *user, const bw_step *step)
{
    (void)user;
    stop_after_two = (int)step->step;
}

static bw_request stop(void *user)
{
    (void)user;
    return stop_after_two == 2 ? BW_SAVE_AND_STOP : BW_GO_ON;
}

static void a_run_goes_on_with_as_many_images_only(void **state)
{
    (void)state;
    painter p = { .broken = -1 };
    bw_config c = small_config();
    c.probe.every = 0;
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    bw_dataset *all = painted(&p, IMAGES), *fewer = painted(&p, IMAGES - 1);
    bw_pretrain_options o = {
        .config = &c, .dataset = all, .out = in("run", ""), .on_step = count_step, .request = stop
    };
    assert_int_equal(bw_pretrain(&o), BW_EINTERRUPTED);
    o.request = NULL;
    o.resume = true;
    o.dataset = fewer;
    assert_int_equal(bw_pretrain(&o), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "the run uses 15 images, painted has 14"));
    o.dataset = all;
    o.data = root;
    assert_int_equal(bw_pretrain(&o), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "either data or dataset"));
    o.data = NULL;
    CHECK_OK(bw_pretrain(&o));
    bw_dataset_free(all);
    bw_dataset_free(fewer);
}

static void unreadable_images_of_a_source_are_counted_and_other_failures_end_the_run(void **state)
{
    (void)state;
    painter p = { .broken = 3, .why = BW_EDATA };
    bw_config c = small_config();
    c.probe.every = 0;
    c.data.max_bad = 0.1;
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    bw_dataset *d = painted(&p, IMAGES);
    bw_pretrain_options o = { .config = &c, .dataset = d, .out = in("one", "") };
    CHECK_OK(bw_pretrain(&o));
    p.why = BW_ENOMEM;
    o.out = in("two", "");
    assert_int_equal(bw_pretrain(&o), BW_ENOMEM);
    bw_dataset_free(d);
}

static void test_images_need_the_classes_of_the_training_images(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "b" };
    painter p = { .broken = -1 };
    bw_config c = small_config();
    bw_dataset *train = painted(&p, IMAGES), *test = NULL;
    bw_image_source source = source_of(&p);
    source.classes = 2;
    source.label = odd;
    source.class_names = names;
    CHECK_OK(bw_dataset_from_source(&test, &source));
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    bw_pretrain_options o = { .config = &c, .dataset = train, .test = test, .out = in("run", "") };
    assert_int_equal(bw_pretrain(&o), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "bw_dataset_match_classes()"));
    bw_dataset_free(train);
    bw_dataset_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_gives_what_its_functions_give),
        cmocka_unit_test(images_that_are_not_there_are_answered_so),
        cmocka_unit_test(sources_that_contradict_themselves_are_refused),
        cmocka_unit_test(encoded_images_are_decoded_from_memory_as_from_files),
        cmocka_unit_test(a_run_on_a_source_is_that_on_files_of_the_same_pixels),
        cmocka_unit_test(a_run_goes_on_with_as_many_images_only),
        cmocka_unit_test(unreadable_images_of_a_source_are_counted_and_other_failures_end_the_run),
        cmocka_unit_test(test_images_need_the_classes_of_the_training_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
