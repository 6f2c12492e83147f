/* Where the index of shards lies, when it is made anew, and that damage to it does no harm. */
#define _DEFAULT_SOURCE /* seteuid(), nanosecond times */
#include "dataset_check.h"
#include "tar_files.h"
#include "data/tar_index.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *tree; /* of the running test */

static int set_up(void **state)
{
    (void)state;
    tree = new_folder();
    assert_int_equal(chmod(tree, 0755), 0);
    return setenv("XDG_CACHE_HOME", in(tree, "cache"), 1);
}

static int tear_down(void **state)
{
    (void)state;
    (void)unsetenv("TMPDIR");
    remove_folder(tree);
    return 0;
}

/* The only file below `folder` whose name ends in .index, or NULL; `others` counts what begins like one. */
static const char *find_index(const char *folder, int *others)
{
    static char path[4400];
    DIR *dir = opendir(folder);
    const char *found = NULL;
    *others = 0;
    if (!dir) return NULL;
    for (struct dirent *e; (e = readdir(dir));) {
        const char *at = strstr(e->d_name, ".index");
        if (!at) continue;
        *others += at[6] != '\0';
        if (at[6] != '\0') continue;
        assert_null(found);
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        found = path;
    }
    (void)closedir(dir);
    return found;
}

static char *index_beside(void)
{
    int others;
    const char *path = find_index(in(tree, "d"), &others);
    assert_non_null(path);
    assert_int_equal(others, 0);
    return strdup(path);
}

/* Shards d/s-0.tar .. of `images` images each. */
static void make_shards(int n, int images)
{
    for (int i = 0; i < n; i++) {
        char name[40];
        tar_bytes t = { 0 };
        for (int k = 0; k < images; k++) {
            (void)snprintf(name, sizeof name, "%d-%d.png", i, k);
            tar_image(&t, name, k & 1);
            (void)snprintf(name, sizeof name, "%d-%d.cls", i, k);
            tar_text(&t, name, k & 1 ? "1" : "0");
        }
        tar_end(&t);
        (void)snprintf(name, sizeof name, "d/s-%d.tar", i);
        tar_save(&t, tree, name);
    }
}

static int64_t images_in(const char *pattern)
{
    bw_image image = { 0 };
    bw_dataset *d = open_or_fail(in(tree, pattern), BW_SPLIT_TRAIN, NULL);
    const int64_t n = bw_dataset_size(d);
    for (int64_t i = 0; i < n; i++) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, bw_dataset_label(d, i) ? 11 : 1);
    }
    bw_image_clear(&image);
    bw_dataset_free(d);
    return n;
}

static ino_t inode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void an_index_is_made_once_and_moves_with_its_folder(void **state)
{
    (void)state;
    make_shards(2, 3);
    assert_int_equal(images_in("d/s-{0..1}.tar"), 6);
    char *path = index_beside();
    const ino_t inode = inode_of(path);
    assert_int_equal(images_in("d/s-{0..1}.tar"), 6);
    assert_int_equal(inode_of(path), inode);
    free(path);
    write_text(tree, "elsewhere/x", "");
    assert_int_equal(rename(in(tree, "d"), in(tree, "elsewhere/d")), 0);
    assert_int_equal(images_in("elsewhere/d/s-{0..1}.tar"), 6);
    assert_int_equal(rename(in(tree, "elsewhere/d"), in(tree, "d")), 0);
    path = index_beside();
    assert_int_equal(inode_of(path), inode);
    free(path);
}

static void a_shard_of_another_size_or_time_makes_the_index_anew(void **state)
{
    (void)state;
    make_shards(2, 3);
    assert_int_equal(images_in("d/s-{0..1}.tar"), 6);
    char *path = index_beside();
    ino_t inode = inode_of(path);
    const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1000000000, .tv_nsec = 5 } };
    assert_int_equal(utimensat(AT_FDCWD, in(tree, "d/s-1.tar"), times, 0), 0);
    assert_int_equal(images_in("d/s-{0..1}.tar"), 6);
    assert_int_not_equal(inode_of(path), inode);
    inode = inode_of(path);
    struct stat info;
    assert_int_equal(stat(in(tree, "d/s-1.tar"), &info), 0);
    make_shards(2, 4);
    assert_int_equal(utimensat(AT_FDCWD, in(tree, "d/s-1.tar"), times, 0), 0);
    assert_int_equal(images_in("d/s-{0..1}.tar"), 8);
    free(path);
}

/* Every byte of a small index in turn, and every length. */
static void a_damaged_index_is_noticed_and_made_anew(void **state)
{
    (void)state;
    bw_shard_list shards;
    bw_tar_index x;
    size_t size;
    make_shards(1, 2);
    assert_int_equal(images_in("d/s-0.tar"), 2);
    char *path = index_beside();
    uint8_t *whole = read_whole(path, &size);
    CHECK_OK(bw__shard_list_find(&shards, in(tree, "d/s-0.tar"), BW_SPLIT_TRAIN));
    CHECK_OK(bw__tar_index_load(&x, path, &shards));
    bw__tar_index_clear(&x);
    for (size_t i = 0; i < size; i++) {
        whole[i] ^= 0x10;
        write_file(tree, "bad.index", whole, size);
        whole[i] ^= 0x10;
        assert_int_equal(bw__tar_index_load(&x, in(tree, "bad.index"), &shards), BW_EDATA);
        write_file(tree, "bad.index", whole, i);
        assert_int_equal(bw__tar_index_load(&x, in(tree, "bad.index"), &shards), BW_EDATA);
    }
    write_file(tree, path + strlen(tree) + 1, whole, size - 9);
    assert_int_equal(images_in("d/s-0.tar"), 2);
    CHECK_OK(bw__tar_index_load(&x, path, &shards));
    bw__tar_index_clear(&x);
    bw__shard_list_clear(&shards);
    free(whole);
    free(path);
}

static void an_index_damaged_while_in_use_fails_reads_and_nothing_else(void **state)
{
    (void)state;
    bw_image image = { 0 };
    char name[100];
    make_shards(1, 5);
    bw_dataset *d = open_or_fail(in(tree, "d/s-0.tar"), BW_SPLIT_TRAIN, NULL);
    char *path = index_beside();
    bw_tar_record records[5];
    memset(records, 0xee, sizeof records);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, records, sizeof records, sizeof(bw_tar_index_head)), sizeof records);
    assert_int_equal(bw_dataset_read(d, 3, &image), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "was damaged while in use"));
    assert_int_equal(bw_dataset_label(d, 1), -1);
    bw_dataset_name(d, 2, name, sizeof name);
    assert_string_equal(name, "?");
    assert_int_equal(ftruncate(fd, 200), 0);
    assert_int_equal(bw_dataset_read(d, 0, &image), BW_EDATA);
    (void)close(fd);
    free(path);
    bw_image_clear(&image);
    bw_dataset_free(d);
}

/* Without rights in the shards' folder, then in the cache too. Root has rights everywhere and becomes another
 * user for it; a user who is not root takes his own away. */
static void without_rights_the_index_goes_to_the_cache_or_is_temporary(void **state)
{
    (void)state;
    int others;
    char log[4400];
    make_shards(1, 2);
    assert_int_equal(mkdir(in(tree, "cache"), 0777), 0);
    assert_int_equal(chmod(in(tree, "cache"), 0777), 0);
    assert_int_equal(mkdir(in(tree, "tmp"), 0777), 0);
    assert_int_equal(chmod(in(tree, "tmp"), 0777), 0);
    assert_int_equal(setenv("TMPDIR", in(tree, "tmp"), 1), 0);
    assert_int_equal(chmod(in(tree, "d"), 0555), 0);
    const bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    assert_int_equal(images_in("d/s-0.tar"), 2);
    assert_null(find_index(in(tree, "d"), &others));
    assert_int_equal(others, 0);
    const char *path = find_index(in(tree, "cache/blockwise"), &others);
    assert_non_null(path);
    (void)snprintf(log, sizeof log, "%s", path);
    const ino_t inode = inode_of(log);
    assert_int_equal(images_in("d/s-0.tar"), 2);
    assert_int_equal(inode_of(log), inode);
    assert_int_equal(unlink(log), 0);
    assert_int_equal(rmdir(in(tree, "cache/blockwise")), 0);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(in(tree, "cache"), 0555), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    assert_int_equal(images_in("d/s-0.tar"), 2);
    assert_null(find_index(in(tree, "cache/blockwise"), &others));
    assert_null(find_index(in(tree, "tmp"), &others)); /* it has no name */
    assert_int_equal(others, 0);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(in(tree, "d"), 0755), 0);
    assert_int_equal(chmod(in(tree, "cache"), 0755), 0);
}

static void processes_that_make_it_at_once_do_not_disturb_each_other(void **state)
{
    (void)state;
    enum { N = 6 };
    pid_t child[N];
    int go[2];
    make_shards(3, 40);
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < N; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] != 0) continue;
        char c;
        bw_dataset *d = NULL;
        (void)close(go[1]);
        (void)!read(go[0], &c, 1); /* until the parent closes the pipe */
        const bool good = bw_dataset_open(&d, in(tree, "d/s-{0..2}.tar"), BW_SPLIT_TRAIN, NULL) == BW_OK &&
                          bw_dataset_size(d) == 120 && bw_dataset_label(d, 119) == 1;
        _exit(good ? 0 : 1);
    }
    (void)close(go[0]);
    (void)close(go[1]);
    for (int i = 0; i < N; i++) {
        int code;
        assert_int_equal(waitpid(child[i], &code, 0), child[i]);
        assert_int_equal(code, 0);
    }
    free(index_beside()); /* one index and nothing left over */
    assert_int_equal(images_in("d/s-{0..2}.tar"), 120);
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n - 3; /* . and .. and this folder */
}

static void many_shards_need_few_descriptors(void **state)
{
    (void)state;
    enum { SHARDS = 150 };
    bw_image image = { 0 };
    struct rlimit before, few;
    make_shards(SHARDS, 2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int closed = open_descriptors();
    bw_dataset *d = open_or_fail(in(tree, "d"), BW_SPLIT_TRAIN, NULL);
    assert_int_equal(bw_dataset_size(d), 2 * SHARDS);
    assert_int_equal(open_descriptors(), closed + 1); /* the index: no shard before something is read */
    for (int64_t i = 0; i < 20; i++)
        CHECK_OK(bw_dataset_read(d, i % 4, &image));
    assert_int_equal(open_descriptors(), closed + 3); /* two shards */
    for (int64_t i = 0; i < 4 * SHARDS; i++)
        CHECK_OK(bw_dataset_read(d, i * 37 % (2 * SHARDS), &image));
    assert_in_range(open_descriptors(), closed + 3, closed + 65);
    bw_image_clear(&image);
    bw_dataset_free(d);
    assert_int_equal(open_descriptors(), closed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_index_is_made_once_and_moves_with_its_folder),
        TEST(a_shard_of_another_size_or_time_makes_the_index_anew),
        TEST(a_damaged_index_is_noticed_and_made_anew),
        TEST(an_index_damaged_while_in_use_fails_reads_and_nothing_else),
        TEST(without_rights_the_index_goes_to_the_cache_or_is_temporary),
        TEST(processes_that_make_it_at_once_do_not_disturb_each_other),
        TEST(many_shards_need_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
