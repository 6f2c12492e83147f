#include "data/shard_list.h"
#include "data/brace.h"
#include "data/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

void bw__shard_list_clear(bw_shard_list *list)
{
    for (int64_t i = 0; i < list->n; i++)
        bw__free(list->at[i].path);
    bw__free(list->at);
    bw__free(list->folder);
    *list = (bw_shard_list){ 0 };
}

const char *bw__shard_name(const bw_shard_list *list, int64_t shard)
{
    const char *path = list->at[shard].path;
    const size_t n = strlen(list->folder);
    if (n == 0 || strncmp(path, list->folder, n) != 0) return path;
    path += n;
    while (*path == '/')
        path++;
    return path;
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

/* --- what a file is --- */

/* Programs that unpack what these bytes or this name begin; NULL for a file that is not compressed. */
static const char *unpacker(const char *path)
{
    static const struct kind {
        const char *magic, *program;
        size_t n;
    } KINDS[] = {
        { "\x1f\x8b", "gunzip", 2 },
        { "BZh", "bunzip2", 3 },
        { "\xfd"
          "7zXZ",
          "unxz", 5 },
        { "\x28\xb5\x2f\xfd", "unzstd", 4 },
        { "\x04\x22\x4d\x18", "unlz4", 4 },
    };
    uint8_t head[8] = { 0 };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    const ssize_t got = pread(fd, head, sizeof head, 0);
    (void)close(fd);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (got >= (ssize_t)KINDS[i].n && memcmp(head, KINDS[i].magic, KINDS[i].n) == 0)
            return KINDS[i].program;
    return NULL;
}

static bool has_tar_mark(const char *path)
{
    enum { MARK_AT = 257 }; /* "ustar" in the first header: POSIX.1-1988, and GNU */
    char mark[5] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t got = pread(fd, mark, sizeof mark, MARK_AT);
    (void)close(fd);
    return got == (ssize_t)sizeof mark && memcmp(mark, "ustar", sizeof mark) == 0;
}

static bool is_tar_file(const char *path)
{
    static const char *const ENDINGS[] = { ".tar",    ".tar.gz",  ".tgz",    ".tar.bz2",
                                           ".tar.xz", ".tar.zst", ".tar.lz4" };
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++)
        if (ends_in(path, ENDINGS[i])) return true;
    return has_tar_mark(path);
}

/* --- what a folder holds --- */

typedef struct contents {
    bw_words tars; /* names, sorted */
    bool images, train, val, test, other_folders;
} contents;

/* Numbers by their value, so that x-10.tar comes after x-9.tar; else bytewise. */
static int compare_words(const void *pa, const void *pb)
{
    static const char DIGITS[] = "0123456789";
    const char *const a = *(char *const *)pa, *const b = *(char *const *)pb;
    for (const char *p = a, *q = b; *p && *q;) {
        if (!strchr(DIGITS, *p) || !strchr(DIGITS, *q)) {
            if (*p != *q) return (uint8_t)*p < (uint8_t)*q ? -1 : 1;
            p++;
            q++;
            continue;
        }
        p += strspn(p, "0");
        q += strspn(q, "0");
        const size_t n = strspn(p, DIGITS), m = strspn(q, DIGITS);
        const int c = n != m ? (n < m ? -1 : 1) : strncmp(p, q, n);
        if (c != 0) return c;
        p += n;
        q += m;
    }
    return strcmp(a, b);
}

static bw_status take_name(contents *c, const char *folder, const char *name)
{
    char *path = NULL;
    if (bw__files_is_image_name(name)) {
        c->images = true;
        return BW_OK;
    }
    bw_status st = bw__path_join(&path, folder, name);
    if (st != BW_OK) return st;
    if (bw__path_is_folder(path)) {
        const bool train = strcmp(name, "train") == 0, val = strcmp(name, "val") == 0,
                   test = strcmp(name, "test") == 0;
        c->train = c->train || train;
        c->val = c->val || val;
        c->test = c->test || test;
        c->other_folders = c->other_folders || !(train || val || test);
    } else if (ends_in(name, ".tar")) {
        st = bw__words_add(&c->tars, name, strlen(name));
    }
    bw__free(path);
    return st;
}

static bw_status look_into(contents *c, const char *path)
{
    bw_status st = BW_OK;
    DIR *dir = opendir(path);
    *c = (contents){ 0 };
    if (!dir) return bw_fail(BW_EIO, "%s: cannot read the folder: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') BW_TRY(take_name(c, path, e->d_name));
    if (c->tars.n) qsort(c->tars.at, (size_t)c->tars.n, sizeof *c->tars.at, compare_words);
out:
    (void)closedir(dir);
    if (st != BW_OK) bw__words_clear(&c->tars);
    return st;
}

static bool holds_shards_alone(const char *path)
{
    contents c;
    if (look_into(&c, path) != BW_OK) return false;
    const bool yes = c.tars.n > 0 && !c.images && !c.train && !c.val && !c.test && !c.other_folders;
    bw__words_clear(&c.tars);
    return yes;
}

static bool folder_looks_like(const char *path)
{
    contents c;
    char *split = NULL;
    if (look_into(&c, path) != BW_OK) return false;
    const bool tars = c.tars.n > 0;
    bw__words_clear(&c.tars);
    if (c.images || c.other_folders) return false;
    if (!c.train && !c.val && !c.test) return tars;
    if (bw__path_join(&split, path, c.train ? "train" : c.val ? "val" : "test") != BW_OK) return false;
    const bool yes = holds_shards_alone(split);
    bw__free(split);
    return yes;
}

bool bw__shard_list_looks_like(const char *path, bool is_folder)
{
    return is_folder ? folder_looks_like(path) : is_tar_file(path);
}

/* --- the list --- */

static bw_status add_shard(bw_shard_list *list, const char *path, const struct stat *info)
{
    bw_status st = BW_OK;
    if (list->n == list->room) {
        bw_shard *more;
        BW_TRY(BW_ALLOC(&more, 2 * list->room + 16));
        if (list->n) memcpy(more, list->at, (size_t)list->n * sizeof *more);
        bw__free(list->at);
        list->at = more;
        list->room = 2 * list->room + 16;
    }
    bw_shard *shard = &list->at[list->n];
    BW_TRY(bw__strdup(&shard->path, path));
    list->n++;
    shard->bytes = info->st_size;
    shard->mtime_s = info->st_mtim.tv_sec;
    shard->mtime_ns = info->st_mtim.tv_nsec;
out:
    return st;
}

/* The first few missing shards by name. */
typedef struct missing {
    int64_t n;
    char text[400];
} missing;

static void note_missing(missing *m, const char *path)
{
    enum { NAMED = 5 };
    const size_t used = strlen(m->text);
    if (m->n < NAMED)
        (void)snprintf(m->text + used, sizeof m->text - used, "%s%s", m->n ? ", " : "", bw__path_base(path));
    if (m->n == NAMED) (void)snprintf(m->text + used, sizeof m->text - used, ", ...");
    m->n++;
}

static bw_status fill(bw_shard_list *list, const bw_words *paths, const char *pattern)
{
    bw_status st = BW_OK;
    missing m = { 0 };
    struct stat info;
    for (int64_t i = 0; i < paths->n; i++) {
        const char *path = paths->at[i];
        if (stat(path, &info) != 0) {
            if (errno != ENOENT && errno != ENOTDIR) BW_TRY(bw_fail(BW_EIO, "%s: %s", path, strerror(errno)));
            note_missing(&m, path);
            continue;
        }
        if (!S_ISREG(info.st_mode))
            BW_TRY(bw_fail(BW_EDATA, "%s: not a regular file; shards are read in place", path));
        if (info.st_size == 0)
            BW_TRY(
                bw_fail(BW_EDATA, "%s: the shard is empty (0 bytes); copy it again or leave it out", path));
        BW_TRY(add_shard(list, path, &info));
    }
    if (m.n)
        BW_TRY(bw_fail(
            BW_EDATA, "%s: %lld of %lld shards are missing: %s; copy them there, or name only those that are",
            pattern, (long long)m.n, (long long)paths->n, m.text));
    BW_TRY(bw__path_folder(&list->folder, list->at[0].path));
    const char *program = unpacker(list->at[0].path);
    if (program)
        BW_TRY(bw_fail(BW_EDATA,
                       "%s: the shard is compressed, and only plain .tar files can be read in place; unpack "
                       "it with %s (images in it are compressed already)",
                       list->at[0].path, program));
out:
    return st;
}

static bool is_test_name(const char *name)
{
    return strstr(name, "val") || strstr(name, "test");
}

static bw_status add_path(bw_words *paths, const char *folder, const char *name)
{
    char *path = NULL;
    bw_status st = bw__path_join(&path, folder, name);
    if (st == BW_OK) st = bw__words_add(paths, path, strlen(path));
    bw__free(path);
    return st;
}

/* Of shards of both splits in one folder, those of the wanted split, by the words in their names. */
static bw_status choose_by_name(bw_words *paths, int64_t *left_out, const contents *c, const char *folder,
                                bw_split split)
{
    int64_t n[3] = { 0, 0, 0 };
    for (int64_t i = 0; i < c->tars.n; i++)
        n[strstr(c->tars.at[i], "train") ? 0 : is_test_name(c->tars.at[i]) ? 1 : 2]++;
    const bool splits = n[0] > 0 && n[1] > 0;
    if (split == BW_SPLIT_TEST && !splits) return bw__fail_no_split(folder, split);
    *left_out = splits ? n[2] : 0;
    for (int64_t i = 0; i < c->tars.n; i++) {
        const char *name = c->tars.at[i];
        const bool train = strstr(name, "train") != NULL, test = !train && is_test_name(name);
        if (splits && !(split == BW_SPLIT_TRAIN ? train : test)) continue;
        bw_status st = add_path(paths, folder, name);
        if (st != BW_OK) return st;
    }
    return BW_OK;
}

static bw_status choose_in_folder(bw_words *paths, int64_t *left_out, const char *path, bw_split split)
{
    bw_status st = BW_OK;
    contents c = { 0 }, inner = { 0 };
    char *folder = NULL;
    BW_TRY(look_into(&c, path));
    const char *test = c.val ? "val" : c.test ? "test" : NULL;
    if (c.tars.n > 0 || !(c.train || test)) {
        BW_TRY(choose_by_name(paths, left_out, &c, path, split));
        goto out;
    }
    const bool train = split == BW_SPLIT_TRAIN || (split == BW_SPLIT_ANY && !test);
    if (train ? !c.train : !test) BW_TRY(bw__fail_no_split(path, split));
    BW_TRY(bw__path_join(&folder, path, train ? "train" : test));
    BW_TRY(look_into(&inner, folder));
    for (int64_t i = 0; i < inner.tars.n; i++)
        BW_TRY(add_path(paths, folder, inner.tars.at[i]));
out:
    bw__free(folder);
    bw__words_clear(&inner.tars);
    bw__words_clear(&c.tars);
    return st;
}

bw_status bw__shard_list_find(bw_shard_list *out, const char *path, bw_split split)
{
    bw_status st = BW_OK;
    bw_words paths = { 0 };
    struct stat info;
    *out = (bw_shard_list){ 0 };
    const bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode)) {
        BW_TRY(choose_in_folder(&paths, &out->left_out, path, split));
        if (paths.n == 0) BW_TRY(bw_fail(BW_EDATA, "%s: no shards found: no file is named .tar", path));
    } else {
        if (split == BW_SPLIT_TEST) return bw__fail_no_split(path, split);
        if (there)
            BW_TRY(bw__words_add(&paths, path, strlen(path)));
        else
            BW_TRY(bw__brace_expand(&paths, path));
    }
    BW_TRY(fill(out, &paths, path));
out:
    bw__words_clear(&paths);
    if (st != BW_OK) bw__shard_list_clear(out);
    return st;
}
