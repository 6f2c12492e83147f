#include "check.h"
#include "blockwise/status.h"
#include "formats/atomic_file.h"
#include "formats/file.h"
#include "base/memory.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[4096], path[4200];

static int fresh_folder(void **state)
{
    (void)state;
    const char *made = temp_folder();
    if (!made) return -1;
    (void)snprintf(folder, sizeof folder, "%s", made);
    (void)snprintf(path, sizeof path, "%s/file.bin", folder);
    return 0;
}

static int files_in_folder(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void assert_content(const char *want)
{
    char *text;
    size_t bytes;
    CHECK_OK(bw__file_read(&text, &bytes, path, 1000));
    assert_int_equal(bytes, strlen(want));
    assert_string_equal(text, want);
    bw__free(text);
}

static void committed_file_has_the_bytes_and_nothing_else_remains(void **state)
{
    (void)state;
    CHECK_OK(bw__atomic_write(path, "one", 3));
    assert_content("one");
    assert_int_equal(files_in_folder(), 1);
}

static void file_gets_the_permissions_of_the_umask(void **state)
{
    (void)state;
    mode_t old = umask(027);
    CHECK_OK(bw__atomic_write(path, "x", 1));
    (void)umask(old);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void old_content_stays_until_commit_and_after_abandon(void **state)
{
    (void)state;
    bw_atomic_file file;
    CHECK_OK(bw__atomic_write(path, "old", 3));
    CHECK_OK(bw__atomic_open(&file, path));
    assert_true(fputs("new content", file.stream) >= 0);
    assert_int_equal(fflush(file.stream), 0);
    assert_content("old");
    assert_int_equal(files_in_folder(), 2);
    bw__atomic_abandon(&file);
    assert_content("old");
    assert_int_equal(files_in_folder(), 1);
    bw__atomic_abandon(&file);
}

static void nothing_stands_under_the_final_name_before_commit(void **state)
{
    (void)state;
    bw_atomic_file file;
    struct stat info;
    CHECK_OK(bw__atomic_open(&file, path));
    assert_int_not_equal(stat(path, &info), 0);
    CHECK_OK(bw__atomic_commit(&file));
    assert_int_equal(stat(path, &info), 0);
}

static void two_writers_of_one_path_do_not_mix(void **state)
{
    (void)state;
    bw_atomic_file a, b;
    CHECK_OK(bw__atomic_open(&a, path));
    CHECK_OK(bw__atomic_open(&b, path));
    assert_true(fputs("aaaa", a.stream) >= 0);
    assert_true(fputs("bb", b.stream) >= 0);
    CHECK_OK(bw__atomic_commit(&a));
    assert_content("aaaa");
    CHECK_OK(bw__atomic_commit(&b));
    assert_content("bb");
    assert_int_equal(files_in_folder(), 1);
}

/* In a child, because the limit on file size cannot be raised again by everyone. The child's answer: 0 if
 * the write failed as it should. `piece` decides whether fwrite or the flush at commit meets the limit. */
static int write_past_the_limit(size_t piece)
{
    static char data[200000];
    bw_atomic_file file;
    struct rlimit limit = { 65536, 65536 };
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 10;
    if (bw__atomic_open(&file, path) != BW_OK) return 11;
    for (size_t done = 0; done < sizeof data; done += piece)
        (void)fwrite(data, 1, piece, file.stream);
    if (bw__atomic_commit(&file) != BW_EIO) return 12;
    if (!strstr(bw_last_error(), path)) return 13;
    return strstr(bw_last_error(), "File too large") ? 0 : 14;
}

static void full_disk_names_path_and_reason_and_keeps_the_old_file(void **state)
{
    (void)state;
    CHECK_OK(bw__atomic_write(path, "old", 3));
    const size_t pieces[] = { 200000, 100 };
    for (int i = 0; i < 2; i++) {
        int answer = -1;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(write_past_the_limit(pieces[i]));
        assert_int_equal(waitpid(child, &answer, 0), child);
        assert_true(WIFEXITED(answer));
        assert_int_equal(WEXITSTATUS(answer), 0);
        assert_content("old");
        assert_int_equal(files_in_folder(), 1);
    }
}

static void error_in_the_last_bytes_is_found_at_commit(void **state)
{
    (void)state;
    bw_atomic_file file;
    FILE *full = fopen("/dev/full", "wb");
    if (!full) skip();
    CHECK_OK(bw__atomic_open(&file, path));
    FILE *real = file.stream;
    file.stream = full;
    assert_true(fputs("x", file.stream) >= 0);
    assert_int_equal(bw__atomic_commit(&file), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "No space left on device"));
    assert_int_equal(files_in_folder(), 0);
    (void)fclose(real);
}

static void missing_folder_folder_and_device_are_refused(void **state)
{
    (void)state;
    char inside[4300];
    (void)snprintf(inside, sizeof inside, "%s/missing/file.bin", folder);
    assert_int_equal(bw__atomic_write(inside, "x", 1), BW_EIO);
    assert_non_null(strstr(bw_last_error(), inside));
    assert_non_null(strstr(bw_last_error(), "No such file"));
    assert_int_equal(bw__atomic_write(folder, "x", 1), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "folder"));
    assert_int_equal(bw__atomic_write("/dev/null", "x", 1), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "/dev/null"));
    assert_int_equal(files_in_folder(), 0);
}

static void file_in_the_current_folder_needs_no_slash(void **state)
{
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    CHECK_OK(bw__atomic_write("file.bin", "here", 4));
    assert_int_equal(chdir(before), 0);
    assert_content("here");
}

static void read_refuses_missing_folder_and_too_large(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    assert_int_equal(bw__file_read(&text, &bytes, path, 10), BW_EIO);
    assert_null(text);
    assert_int_equal(bw__file_read(&text, &bytes, folder, 1 << 20), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "not a regular file"));
    CHECK_OK(bw__atomic_write(path, "12345678901", 11));
    assert_int_equal(bw__file_read(&text, &bytes, path, 10), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "11 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(committed_file_has_the_bytes_and_nothing_else_remains, fresh_folder),
        cmocka_unit_test_setup(file_gets_the_permissions_of_the_umask, fresh_folder),
        cmocka_unit_test_setup(old_content_stays_until_commit_and_after_abandon, fresh_folder),
        cmocka_unit_test_setup(nothing_stands_under_the_final_name_before_commit, fresh_folder),
        cmocka_unit_test_setup(two_writers_of_one_path_do_not_mix, fresh_folder),
        cmocka_unit_test_setup(full_disk_names_path_and_reason_and_keeps_the_old_file, fresh_folder),
        cmocka_unit_test_setup(error_in_the_last_bytes_is_found_at_commit, fresh_folder),
        cmocka_unit_test_setup(missing_folder_folder_and_device_are_refused, fresh_folder),
        cmocka_unit_test_setup(file_in_the_current_folder_needs_no_slash, fresh_folder),
        cmocka_unit_test_setup(read_refuses_missing_folder_and_too_large, fresh_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
