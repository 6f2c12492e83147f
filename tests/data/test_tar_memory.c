/* Ten million images in shards of unequal sizes: what the process takes for them. The index is generated and
 * the shards are holes, but for one image each, to which all their records lead. */
#include "dataset_check.h"
#include "tar_files.h"
#include "base/available.h"
#include "base/rng.h"
#include "data/loader.h"
#include "data/tar_index.h"
#include "formats/checksum.h"
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    SHARDS = 5,
    LABELS = 1000,
    NAME = 12, /* bytes of "00000017.png" */
    PIECE = 1 << 14
};
static const int64_t IMAGES = 10000000, SHARD_BYTES = (int64_t)3 << 30;
/* What opening, labels, names and batches together may add to the resident memory. A byte for each image
 * would be 10 MB already. */
static const int64_t BOUND = 6 << 20;

static char *tree;

static const char *shard_name(int i)
{
    static char name[20];
    (void)snprintf(name, sizeof name, "s-%d.tar", i);
    return name;
}

static int32_t label_of(int64_t i)
{
    return (int32_t)(i * 7 % LABELS);
}

/* Shards of which only one image is there; the program finds them empty and leaves an index, whose name is
 * wanted. */
static char *make_shards(void)
{
    size_t size;
    char *path = NULL;
    uint8_t *image = read_whole(fixture_path("images/exif_6.png"), &size);
    for (int i = 0; i < SHARDS; i++) {
        write_text(tree, shard_name(i), "");
        const int fd = open(in(tree, shard_name(i)), O_WRONLY);
        assert_int_equal(ftruncate(fd, SHARD_BYTES + i), 0);
        assert_int_equal(pwrite(fd, image, size, SHARD_BYTES - 4096 - i), size);
        (void)close(fd);
    }
    free(image);
    expect_open_failure(tree, BW_SPLIT_TRAIN, "tar", BW_EDATA, "no images found");
    DIR *dir = opendir(tree);
    for (struct dirent *e; (e = readdir(dir));)
        if (strstr(e->d_name, ".index")) path = strdup(in(tree, e->d_name));
    (void)closedir(dir);
    assert_non_null(path);
    return path;
}

/* Shard 0 has one image, the others have the rest in unequal parts. */
static int shard_of(int64_t i)
{
    return i == 0 ? 0 : i < IMAGES / 10 ? 1 : i < IMAGES / 2 ? 2 : i < IMAGES - 3 ? 3 : 4;
}

static void put_tail(FILE *f)
{
    const uint64_t zero = 0, per_label = (uint64_t)IMAGES / LABELS, all = (uint64_t)IMAGES;
    uint32_t n;
    for (int i = 0; i < SHARDS; i++) {
        struct stat info;
        assert_int_equal(stat(in(tree, shard_name(i)), &info), 0);
        const bw_tar_shard_state state = { .bytes = (uint64_t)info.st_size,
                                           .mtime_s = info.st_mtim.tv_sec,
                                           .mtime_ns = info.st_mtim.tv_nsec };
        n = (uint32_t)strlen(shard_name(i));
        (void)fwrite(&state, sizeof state, 1, f);
        (void)fwrite(&n, sizeof n, 1, f);
        (void)fwrite(shard_name(i), 1, n, f);
    }
    n = 0;
    (void)fwrite(&all, sizeof all, 1, f); /* one folder, "" */
    (void)fwrite(&n, sizeof n, 1, f);
    for (int i = 0; i < LABELS; i++)
        (void)fwrite(&per_label, sizeof per_label, 1, f);
    for (int i = 0; i < 2; i++) { /* no remarks */
        (void)fwrite(&zero, sizeof zero, 1, f);
        (void)fwrite(&n, sizeof n, 1, f);
    }
}

static void generate(const char *path)
{
    static bw_tar_record records[PIECE];
    static char names[PIECE * NAME + 1];
    bw_tar_index_head head = { .magic = BW_TAR_INDEX_MAGIC,
                               .version = BW_TAR_INDEX_VERSION,
                               .record_bytes = sizeof(bw_tar_record),
                               .images = (uint64_t)IMAGES,
                               .names_at = sizeof head + (uint64_t)IMAGES * sizeof(bw_tar_record),
                               .tail_at = sizeof head + (uint64_t)IMAGES * (sizeof(bw_tar_record) + NAME),
                               .shards = SHARDS,
                               .folders = 1,
                               .labels = LABELS };
    size_t size;
    free(read_whole(fixture_path("images/exif_6.png"), &size));
    FILE *f = fopen(path, "w+b");
    assert_non_null(f);
    (void)fwrite(&head, sizeof head, 1, f);
    for (int64_t first = 0; first < IMAGES; first += PIECE) {
        const int64_t n = IMAGES - first < PIECE ? IMAGES - first : PIECE;
        for (int64_t k = 0; k < n; k++) {
            const int shard = shard_of(first + k);
            records[k] = (bw_tar_record){ .offset = (uint64_t)(SHARD_BYTES - 4096 - shard),
                                          .name = (uint64_t)(first + k) * NAME << 16 | NAME,
                                          .bytes = (uint32_t)size,
                                          .shard = (uint32_t)shard,
                                          .label = label_of(first + k) };
        }
        (void)fwrite(records, sizeof *records, (size_t)n, f);
    }
    for (int64_t first = 0; first < IMAGES; first += PIECE) {
        const int64_t n = IMAGES - first < PIECE ? IMAGES - first : PIECE;
        for (int64_t k = 0; k < n; k++) {
            char *p = names + k * NAME;
            int64_t digits = first + k;
            for (int at = 7; at >= 0; at--, digits /= 10)
                p[at] = (char)('0' + digits % 10);
            memcpy(p + 8, ".png", 4);
        }
        (void)fwrite(names, NAME, (size_t)n, f);
    }
    put_tail(f);
    head.file_bytes = (uint64_t)ftello(f) + sizeof(uint64_t);
    (void)fseeko(f, 0, SEEK_SET);
    (void)fwrite(&head, sizeof head, 1, f);
    assert_int_equal(fflush(f), 0);
    uint64_t sum;
    CHECK_OK(bw__checksum_part(&sum, fileno(f), head.file_bytes - sizeof sum));
    (void)fseeko(f, 0, SEEK_END);
    (void)fwrite(&sum, sizeof sum, 1, f);
    assert_int_equal(fclose(f), 0);
}

/* Batches of the loader, from the middle of the second epoch on. */
static void run_loader(const bw_dataset *d)
{
    static const bw_augment_config AUGMENT = {
        .view = { { .crop_scale = { 0.3, 1.0 }, .crop_ratio = { 1.0, 1.0 } },
                  { .crop_scale = { 0.3, 1.0 }, .crop_ratio = { 1.0, 1.0 } } },
        .std = { 1.0, 1.0, 1.0 }
    };
    const bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                      .image_size = 8,
                                      .augment = &AUGMENT,
                                      .batch = 64,
                                      .first = 16,
                                      .count = 32,
                                      .seed = 5,
                                      .threads = 2,
                                      .max_bad = 0.01,
                                      .start_step = IMAGES / 64 + 70000,
                                      .end_step = IMAGES / 64 + 70010 };
    bw_loader *loader;
    const bw_batch *b;
    int64_t batches = 0;
    CHECK_OK(bw__loader_create(&loader, d, &config));
    for (;;) {
        CHECK_OK(bw__loader_next(loader, &b));
        if (!b) break;
        batches++;
        assert_int_equal(b->n, 32);
        assert_int_equal(b->epoch, 1);
        for (int64_t i = 0; i < b->n; i++)
            assert_int_equal(b->labels[i], label_of(b->index[i]));
    }
    assert_int_equal(batches, 10);
    assert_int_equal(bw__loader_bad(loader), 0);
    bw__loader_free(loader);
}

static void memory_does_not_grow_with_the_number_of_images(void **state)
{
    (void)state;
    bw_image image = { 0 };
    char name[40], want[40];
    char *path = make_shards();
    generate(path);
    const int64_t before = bw__rss_bytes();
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, "tar");
    assert_int_equal(bw_dataset_size(d), IMAGES);
    assert_int_equal(bw_dataset_classes(d), LABELS);
    int64_t wrong = 0;
    for (int64_t i = 0; i < IMAGES; i++)
        wrong += bw_dataset_label(d, i) != label_of(i);
    assert_int_equal(wrong, 0);
    for (int64_t i = 0; i < 2000; i++) {
        const int64_t at = (int64_t)bw__permute(3, 0, (uint64_t)i, (uint64_t)IMAGES);
        bw_dataset_name(d, at, name, sizeof name);
        (void)snprintf(want, sizeof want, "%08lld.png", (long long)at);
        assert_string_equal(name, want);
        assert_int_equal(bw_dataset_label(d, at), label_of(at));
    }
    for (int64_t i = 0; i < IMAGES; i += IMAGES / 7) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, 11);
    }
    bw_image_clear(&image);
    run_loader(d);
    const int64_t grown = bw__rss_bytes() - before;
    bw_dataset_free(d);
    printf("resident memory grew by %.2f MB\n", (double)grown / 1e6);
#ifdef __SANITIZE_ADDRESS__
    const bool judged = false; /* it keeps what was freed */
#else
    const bool judged = true;
#endif
    assert_true(!judged || (grown < BOUND && grown > -BOUND)); /* the kernel may also have taken some away */
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    tree = new_folder();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(tree);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
        memory_does_not_grow_with_the_number_of_images, set_up, tear_down) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
