/* Files of torch.save() made to do harm: to run something, to fill memory, to read for ever, to reach files
 * elsewhere. Each is refused, at once and in little memory. test_torch_file.c has the single instructions. */
#include "check.h"
#include "base/memory.h"
#include "formats/file.h"
#include "formats/torch_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zip.h>

enum { MB = 1 << 20 };

/* --- files --- */

typedef struct text {
    char *at;
    size_t n;
    FILE *f;
} text;

static text *begin(void)
{
    static text t; /* open_memstream() keeps its address */
    t = (text){ 0 };
    t.f = open_memstream(&t.at, &t.n);
    assert_non_null(t.f);
    fputs("\x80\x02", t.f);
    return &t;
}

static void put_string(text *t, const char *s)
{
    fprintf(t->f, "U%c%s", (int)strlen(s), s); /* SHORT_BINSTRING */
}

/* LONG1 of eight bytes */
static void put_long(text *t, int64_t v)
{
    fputs("\x8a\x08", t->f);
    assert_int_equal(fwrite(&v, 1, sizeof v, t->f), sizeof v);
}

/* A tensor [n], or [n, 0] where it is `empty`, in storage `key` of `elements`. */
static void put_shape(text *t, const char *key, int64_t elements, int64_t n, bool empty)
{
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", t->f);
    put_string(t, "storage");
    fputs("ctorch\nFloatStorage\n", t->f);
    put_string(t, key);
    put_string(t, "cpu");
    put_long(t, elements);
    (void)fwrite("tQK\0(", 1, 5, t->f);
    put_long(t, n);
    if (empty) (void)fwrite("K", 1, 2, t->f);
    fputs(empty ? "t(K\1K\1t\x89)tR" : "t(K\1t\x89)tR", t->f);
}

static void put_tensor(text *t, const char *key, int64_t elements, int64_t n)
{
    put_shape(t, key, elements, n, false);
}

typedef struct entry {
    const char *name;
    const void *data;
    size_t bytes;
} entry;

/* The pickle, closed here, and up to one more entry; `method` as libzip has it. */
static const char *archive(text *t, const entry *more, int method)
{
    static char path[4300];
    int code;
    const entry pickle = { "x/data.pkl", NULL, 0 };
    (void)snprintf(path, sizeof path, "%s/hostile.pth", temp_folder());
    assert_int_equal(fclose(t->f), 0);
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(zip);
    for (int i = 0; i < (more ? 2 : 1); i++) {
        const entry *e = i ? more : &pickle;
        zip_source_t *source = zip_source_buffer(zip, i ? e->data : t->at, i ? e->bytes : t->n, 0);
        zip_int64_t at = zip_file_add(zip, e->name, source, 0);
        assert_true(at >= 0 && zip_set_file_compression(zip, (zip_uint64_t)at, method, 0) == 0);
    }
    assert_int_equal(zip_close(zip), 0);
    free(t->at);
    return path;
}

static int64_t peak_kb(void)
{
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return used.ru_maxrss;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Opened and read whole, this is refused with `why`, within ten seconds and 300 MB. */
static void refused(const char *path, const char *why)
{
    bw_torch_file *f;
    double start = now();
    int64_t before = peak_kb();
    bw_status st = bw__torch_open(&f, path);
    for (int64_t i = 0; st == BW_OK && i < bw__torch_count(f); i++)
        st = bw__torch_read(f, i);
    assert_int_equal(st, BW_EDATA);
    bw__torch_close(f);
    if (!strstr(bw_last_error(), why)) fail_msg("got '%s', want in it '%s'", bw_last_error(), why);
    assert_true(now() - start < 10.0);
    assert_true(peak_kb() - before < 300 * 1024);
}

/* --- what they do --- */

/* Nothing is read of its storage, and nobody counts up to its extents. */
static void an_empty_tensor_is_one_whatever_its_other_extents(void **state)
{
    (void)state;
    static const int64_t rows[] = { 5, INT64_MAX / 64 };
    for (int i = 0; i < 2; i++) {
        text *t = begin();
        bw_torch_file *f = NULL;
        fputs("}", t->f);
        put_string(t, "w");
        put_shape(t, "0", 0, rows[i], true);
        fputs("s.", t->f);
        CHECK_OK(bw__torch_open(&f, archive(t, &(entry){ "x/data/0", "", 0 }, ZIP_CM_STORE)));
        assert_int_equal(bw__torch_count(f), 1);
        CHECK_OK(bw__torch_read(f, 0));
        const bw_st_tensor *w = bw__torch_at(f, 0);
        assert_true(w->ndim == 2 && w->shape[0] == rows[i] && w->shape[1] == 0 && w->bytes == 0);
        bw__torch_close(f);
    }
}

static void lengths_beyond_the_file(void **state)
{
    (void)state;
    static const float one[1] = { 1 };
    text *t = begin();
    fputs("}", t->f);
    put_string(t, "w");
    put_tensor(t, "0", INT64_MAX / 2, INT64_MAX / 2);
    fputs("s.", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "far larger than the file");

    t = begin(); /* the storage is there and smaller than the pickle says */
    fputs("}", t->f);
    put_string(t, "w");
    put_tensor(t, "0", 1000, 1000);
    fputs("s.", t->f);
    refused(archive(t, &(entry){ "x/data/0", one, sizeof one }, ZIP_CM_STORE), "has 4 bytes");

    t = begin(); /* a string of 2 GB */
    fputs("X\xff\xff\xff\x7f.", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "longer than the data");
}

static void containers_in_containers_a_hundred_thousand_deep(void **state)
{
    (void)state;
    bw_torch_file *f;
    text *t = begin();
    for (int i = 0; i < 100000; i++)
        fputs("]", t->f);
    for (int i = 1; i < 100000; i++)
        fputs("a", t->f);
    fputs(".", t->f);
    CHECK_OK(bw__torch_open(&f, archive(t, NULL, ZIP_CM_STORE))); /* no dict: no tensors */
    assert_int_equal(bw__torch_count(f), 0);
    bw__torch_close(f);
    t = begin();
    for (int i = 0; i < 3 * MB; i++)
        fputs("(", t->f);
    fputs(".", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "on its stack");
    t = begin();
    for (int i = 0; i < 3 * MB; i++)
        fputs("N", t->f);
    fputs(".", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "more values");
}

/* A dict that holds itself a hundred times is 100^8 paths of eight keys. */
static void dict_that_holds_itself(void **state)
{
    (void)state;
    text *t = begin();
    fputs("}q\1", t->f);
    for (int i = 0; i < 100; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        put_string(t, key);
        fputs("h\1s", t->f);
    }
    fputs(".", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "hold each other");
}

static void memo_with_a_number_of_four_thousand_millions(void **state)
{
    (void)state;
    text *t = begin();
    fputs("}r\xff\xff\xff\xff.", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "remembers too much");
}

/* A megabyte behind a thousand tensors that are all of it. */
static void one_storage_for_very_many_tensors(void **state)
{
    (void)state;
    char *zeros = calloc(1, MB);
    assert_non_null(zeros);
    for (int whole = 0; whole < 2; whole++) { /* or one element of it each: read again and again */
        text *t = begin();
        fputs("}(", t->f);
        for (int i = 0; i < 1000; i++) {
            char key[8];
            (void)snprintf(key, sizeof key, "k%d", i);
            put_string(t, key);
            put_tensor(t, "0", MB / 4, whole ? MB / 4 : 1);
        }
        fputs("u.", t->f);
        refused(archive(t, &(entry){ "x/data/0", zeros, MB }, ZIP_CM_STORE), "far larger than the file");
    }
    free(zeros);
}

/* 64 MB of zeros are 64 kB when they are compressed. */
static void bombs_of_compressed_zeros(void **state)
{
    (void)state;
    char *zeros = calloc(1, 64 * MB);
    assert_non_null(zeros);
    text *t = begin();
    fputs("}", t->f);
    put_string(t, "w");
    put_tensor(t, "0", 16 * MB, 16 * MB);
    fputs("s.", t->f);
    refused(archive(t, &(entry){ "x/data/0", zeros, 64 * (size_t)MB }, ZIP_CM_DEFLATE), "compressed");
    free(zeros);
}

/* A storage's key is looked up within the archive alone, wherever it points to. */
static void names_that_lead_out_of_the_archive(void **state)
{
    (void)state;
    static const char *const KEYS[] = { "../../../../../../etc/hostname", "/etc/hostname", "", "." };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        text *t = begin();
        fputs("}", t->f);
        put_string(t, "w");
        put_tensor(t, KEYS[i], 1, 1);
        fputs("s.", t->f);
        refused(archive(t, NULL, ZIP_CM_STORE), "not in the archive");
    }
}

/* What a file wants written on a terminal is not what a terminal gets. */
static void names_with_control_characters_are_not_passed_on(void **state)
{
    (void)state;
    text *t = begin();
    fputs("cos\x1b]0;title\x07\nsys\x1b[2Jtem\x7f\xc2\x9b\n.", t->f);
    refused(archive(t, NULL, ZIP_CM_STORE), "os?]0;title?.sys?[2Jtem?");
    for (const char *p = bw_last_error(); *p; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    assert_null(strstr(bw_last_error(), "\xc2\x9b"));
}

static void every_piece_of_a_file_that_is_cut_short(void **state)
{
    (void)state;
    char path[4300], *whole;
    size_t bytes;
    bw_torch_file *f;
    CHECK_OK(bw__file_read(&whole, &bytes, fixture_path("torch/state.pth"), MB));
    (void)snprintf(path, sizeof path, "%s/cut.pth", temp_folder());
    for (size_t n = 0; n < bytes; n += n < 64 || n + 64 > bytes ? 1 : 37) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(whole, 1, n, out), n);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(bw__torch_open(&f, path), BW_EDATA);
    }
    bw__free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_tensor_is_one_whatever_its_other_extents),
        cmocka_unit_test(lengths_beyond_the_file),
        cmocka_unit_test(containers_in_containers_a_hundred_thousand_deep),
        cmocka_unit_test(dict_that_holds_itself),
        cmocka_unit_test(memo_with_a_number_of_four_thousand_millions),
        cmocka_unit_test(one_storage_for_very_many_tensors),
        cmocka_unit_test(bombs_of_compressed_zeros),
        cmocka_unit_test(names_that_lead_out_of_the_archive),
        cmocka_unit_test(names_with_control_characters_are_not_passed_on),
        cmocka_unit_test(every_piece_of_a_file_that_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
