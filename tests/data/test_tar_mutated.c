/* The entry of the fuzzer, given damaged archives and indices: the same ones in every run. The sanitizers of
 * the asan preset are what looks on; without them it shows that nothing crashes or hangs. Then the same
 * damage done to the files of a data set that is opened and read. */
#include "dataset_check.h"
#include "tar_files.h"
#include "base/rng.h"
#include "../../fuzz/fuzz_tar.c"
#include <dirent.h>

enum { COPIES = 1500, OPENED = 150 };

/* Flips bits, overwrites runs, cuts, or repeats a part; mostly in the first KB, where headers are. */
static size_t damage(uint8_t *bytes, size_t size, bw_rng *r)
{
    const int changes = 1 + (int)bw__rng_below(r, 3);
    for (int i = 0; i < changes && size > 1; i++) {
        const size_t near = size < 1200 || bw__rng_below(r, 3) == 0 ? size : 1200;
        const size_t at = bw__rng_below(r, near), n = 1 + bw__rng_below(r, size - at);
        switch (bw__rng_below(r, 6)) {
        case 0:
        case 1:
            bytes[at] ^= (uint8_t)(1u << bw__rng_below(r, 8));
            break;
        case 2:
            bytes[at] = (uint8_t)bw__rng_u32(r);
            break;
        case 3:
            memset(bytes + at, bw__rng_below(r, 2) ? 0xff : '7', n < 8 ? n : 8);
            break;
        case 4:
            memmove(bytes + bw__rng_below(r, size - n + 1), bytes + at, n);
            break;
        default:
            if (bw__rng_below(r, 3) == 0) size = at;
        }
    }
    return size;
}

/* Checksums of headers made right again, so that damage gets past them. */
static void make_sums(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512)
        if (memcmp(bytes + at + 257, "ustar", 5) == 0) tar_sum(bytes + at);
}

static void make_archive(tar_bytes *t)
{
    char name[301], record[40];
    (void)snprintf(name, sizeof name, "%0290d/x.png", 7);
    tar_image(t, "cat/1.png", 0);
    tar_text(t, "cat/1.cls", "1");
    tar_entry(t, 'L', "", "././@LongLink", name, strlen(name) + 1);
    tar_image(t, "cut", 1);
    (void)snprintf(record, sizeof record, "16 path=dog/1.x\n");
    tar_entry(t, 'x', "", "PaxHeaders/2", record, 16);
    tar_image(t, "cut", 1);
    tar_image(t, "dog/2.png", 0);
    tar_end(t);
}

static void feed(uint8_t kind, const uint8_t *bytes, size_t size)
{
    uint8_t *input = malloc(size + 1);
    assert_non_null(input);
    input[0] = kind;
    memcpy(input + 1, bytes, size);
    assert_int_equal(LLVMFuzzerTestOneInput(input, size + 1), 0);
    free(input);
}

static void damaged_archives_are_walked_through_or_refused(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    make_archive(&t);
    uint8_t *copy = malloc(t.n);
    assert_non_null(copy);
    seen = 0;
    for (uint64_t i = 0; i < COPIES; i++) {
        bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 1, i, 0);
        memcpy(copy, t.at, t.n);
        const size_t left = damage(copy, t.n, &r);
        if (i & 1) make_sums(copy, left);
        feed(0, copy, left);
    }
    assert_true(seen > COPIES); /* many entries were still found */
    free(copy);
    free(t.at);
}

/* An index of the shard that the fuzzer reads for: names and size of the shard agree. */
static uint8_t *make_index(size_t *size)
{
    tar_bytes t = { 0 };
    char *tree = new_folder();
    make_archive(&t);
    t.n = 4096 + 512;
    tar_save(&t, tree, "fuzz.tar");
    bw_shard_list list;
    CHECK_OK(bw__shard_list_find(&list, in(tree, "fuzz.tar"), BW_SPLIT_TRAIN));
    list.at[0].bytes = SHARD.bytes;
    list.at[0].mtime_s = SHARD.mtime_s;
    list.at[0].mtime_ns = SHARD.mtime_ns;
    FILE *f = fopen(in(tree, "index"), "w+b"), *names = tmpfile();
    assert_true(f && names);
    CHECK_OK(bw__tar_index_build(fileno(f), fileno(names), "index", &list));
    (void)fclose(names);
    (void)fclose(f);
    uint8_t *bytes = read_whole(in(tree, "index"), size);
    bw__shard_list_clear(&list);
    remove_folder(tree);
    return bytes;
}

static void damaged_indices_are_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *whole = make_index(&size), *copy = malloc(size);
    assert_non_null(copy);
    FILE *f = tmpfile();
    bw_tar_index x;
    assert_int_equal(fwrite(whole, 1, size, f), size);
    assert_int_equal(fflush(f), 0);
    CHECK_OK(bw__tar_index_read(&x, dup(fileno(f)), "whole", &SHARDS));
    assert_true(x.head.images > 1);
    bw__tar_index_clear(&x);
    (void)fclose(f);
    for (uint64_t i = 0; i < COPIES; i++) {
        bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 2, i, 0);
        memcpy(copy, whole, size);
        const size_t left = damage(copy, size, &r);
        if (i & 1 && left >= sizeof(bw_tar_index_head)) {
            const uint64_t file_bytes = left; /* past the first check, to those behind it */
            memcpy(copy + offsetof(bw_tar_index_head, file_bytes), &file_bytes, sizeof file_bytes);
        }
        feed((uint8_t)(1 + i % 2), copy, left);
    }
    free(copy);
    free(whole);
}

static void damaged_shards_are_opened_or_refused(void **state)
{
    (void)state;
    char *tree = new_folder();
    int refused = 0;
    bw_image image = { 0 };
    for (uint64_t i = 0; i < OPENED; i++) {
        tar_bytes t = { 0 };
        bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 3, i, 0);
        bw_dataset *d;
        char name[300];
        make_archive(&t);
        t.n = damage(t.at, t.n, &r);
        if (i & 1) make_sums(t.at, t.n);
        tar_save(&t, tree, "x.tar");
        const bw_status st = bw_dataset_open(&d, in(tree, "x.tar"), BW_SPLIT_TRAIN, NULL);
        if (st != BW_OK) {
            assert_int_equal(st, BW_EDATA);
            assert_true(strlen(bw_last_error()) > 20);
            refused++;
            continue;
        }
        for (int64_t k = 0; k < bw_dataset_size(d); k++) {
            const bw_status read = bw_dataset_read(d, k, &image);
            assert_true(read == BW_OK || read == BW_EDATA);
            bw_dataset_name(d, k, name, sizeof name);
            assert_true(bw_dataset_label(d, k) >= -1 && bw_dataset_label(d, k) < BW_TAR_MAX_LABEL);
        }
        (void)bw_dataset_problem(d, 0, name, sizeof name);
        bw_dataset_free(d);
    }
    assert_in_range(refused, 1, OPENED / 2);
    bw_image_clear(&image);
    remove_folder(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_archives_are_walked_through_or_refused),
        cmocka_unit_test(damaged_indices_are_refused),
        cmocka_unit_test(damaged_shards_are_opened_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
