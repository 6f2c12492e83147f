/* Entries' types come with readdir() here, which saves a system call for each of a million files; glibc
 * shows them only with this macro. */
#define _DEFAULT_SOURCE
#include "data/files.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The folders above the one being read, so that a link to one of them does not go round for ever. */
typedef struct ancestor {
    const struct ancestor *above;
    dev_t device;
    ino_t inode;
} ancestor;

typedef struct sort_entry {
    char *name;
    size_t start, first, folder; /* lengths up to: the prefix, the first folder, the last slash */
} sort_entry;

static bool is_loop(const ancestor *folder)
{
    for (const ancestor *a = folder->above; a; a = a->above)
        if (a->device == folder->device && a->inode == folder->inode) return true;
    return false;
}

typedef enum entry_kind { ENTRY_OTHER, ENTRY_FILE, ENTRY_FOLDER } entry_kind;

static entry_kind kind_of(const struct dirent *entry, const char *path)
{
    struct stat info;
    if (entry->d_type == DT_REG) return ENTRY_FILE;
    if (entry->d_type == DT_DIR) return ENTRY_FOLDER;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return ENTRY_OTHER;
    if (stat(path, &info) != 0) return ENTRY_OTHER;
    return S_ISREG(info.st_mode) ? ENTRY_FILE : S_ISDIR(info.st_mode) ? ENTRY_FOLDER : ENTRY_OTHER;
}

static void count_other(bw_files *files, const char *name)
{
    static const char *const endings[] = { ".bmp", ".gif", ".tif",  ".tiff", ".ppm",
                                           ".pgm", ".jp2", ".avif", ".heic", ".jxl" };
    const char *dot = strrchr(name, '.');
    files->others++;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        files->foreign += strcasecmp(dot, endings[i]) == 0;
}

static bw_status scan_folder(bw_dataset *dataset, const char *relative, const ancestor *above)
{
    bw_status st = BW_OK;
    bw_files *files = dataset->source;
    struct stat info;
    char *folder = NULL, *name = NULL, *path = NULL;
    DIR *dir = NULL;
    BW_TRY(bw__path_join(&folder, files->root, relative));
    dir = opendir(*folder ? folder : ".");
    if (!dir || fstat(dirfd(dir), &info) != 0) {
        st = bw_fail(BW_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
        goto out;
    }
    ancestor here = { above, info.st_dev, info.st_ino };
    if (is_loop(&here)) goto out;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        bw__free(name);
        bw__free(path);
        path = NULL;
        BW_TRY(bw__path_join(&name, relative, e->d_name));
        BW_TRY(bw__path_join(&path, folder, e->d_name));
        entry_kind kind = kind_of(e, path);
        if (kind == ENTRY_FOLDER)
            BW_TRY(scan_folder(dataset, name, &here));
        else if (kind == ENTRY_FILE && bw__files_is_image_name(name))
            BW_TRY(bw__files_add(dataset, name, strlen(name)));
        else if (kind == ENTRY_FILE)
            count_other(files, name);
    }
out:
    if (dir) closedir(dir);
    bw__free(path);
    bw__free(name);
    bw__free(folder);
    return st;
}

static int compare_parts(const char *a, size_t na, const char *b, size_t nb)
{
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

/* ImageFolder goes class by class, and in a class through sorted(os.walk()): folders by their whole path. */
static int compare_entries(const void *pa, const void *pb)
{
    const sort_entry *a = pa, *b = pb;
    int c = compare_parts(a->name + a->start, a->first - a->start, b->name + b->start, b->first - b->start);
    if (c == 0) c = compare_parts(a->name, a->folder, b->name, b->folder);
    return c ? c : strcmp(a->name + a->folder, b->name + b->folder);
}

static bw_status sort_names(bw_files *files, size_t start)
{
    bw_status st = BW_OK;
    sort_entry *entries = NULL;
    BW_TRY(BW_ALLOC(&entries, files->count));
    for (int64_t i = 0; i < files->count; i++) {
        char *name = files->names[i];
        const char *first = strchr(name + start, '/'), *last = strrchr(name + start, '/');
        entries[i] = (sort_entry){ name, start, first ? (size_t)(first - name) : start,
                                   last ? (size_t)(last - name) : start };
    }
    qsort(entries, (size_t)files->count, sizeof *entries, compare_entries);
    for (int64_t i = 0; i < files->count; i++)
        files->names[i] = entries[i].name;
out:
    bw__free(entries);
    return st;
}

bw_status bw__files_scan(bw_dataset *dataset, const char *prefix)
{
    bw_files *files = dataset->source;
    bw_status st = scan_folder(dataset, prefix, NULL);
    if (st == BW_OK && files->foreign)
        bw_log(BW_LOG_WARN, "%s: %lld images are left out: only JPEG, PNG and WebP are read", files->root,
               (long long)files->foreign);
    if (st == BW_OK) st = bw__files_finish(dataset);
    if (st == BW_OK) st = sort_names(dataset->source, *prefix ? strlen(prefix) + 1 : 0);
    return st;
}
