#define _GNU_SOURCE /* flock */
#include "train/run_folder.h"
#include "base/memory.h"
#include "base/folder.h"
#include "base/nearest.h"
#include "formats/atomic_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct bw_run_folder {
    char *folder, *path;
    int lock;
};

/* What a run writes before its config.yaml: a folder with nothing else had not begun. */
static const char *const early_names[] = { BW_RUN_LOCK, BW_RUN_ENVIRONMENT, BW_RUN_METRICS,
                                           BW_RUN_CHECKPOINTS };

/* Marks of a file that is being written (see atomic_file.c). */
#define TEMPORARY_MARK ".tmp-"

static bool is_early(const char *name)
{
    for (size_t i = 0; i < sizeof early_names / sizeof *early_names; i++)
        if (strcmp(name, early_names[i]) == 0) return true;
    return strstr(name, TEMPORARY_MARK) != NULL;
}

typedef struct contents {
    bool there, config, finished;
    int entries; /* the lock apart */
    int foreign; /* entries that are not a run's beginning */
} contents;

static bw_status list(contents *out, const char *folder)
{
    const struct dirent *entry;
    *out = (contents){ 0 };
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT) return BW_OK;
    if (!dir && errno == ENOTDIR)
        return bw_fail(BW_EEXIST, "%s: is a file, not a folder; choose another run folder", folder);
    if (!dir) return bw_fail(BW_EIO, "%s: cannot list the folder: %s", folder, strerror(errno));
    out->there = true;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, BW_RUN_LOCK) == 0) continue;
        out->entries++;
        if (!is_early(name)) out->foreign++;
        if (strcmp(name, BW_RUN_CONFIG) == 0) out->config = true;
        if (strcmp(name, BW_RUN_FINISHED) == 0) out->finished = true;
    }
    (void)closedir(dir);
    return BW_OK;
}

/* Whether `config` goes on with the run of `folder`. */
static bw_status compare_config(const char *folder, const bw_config *config)
{
    bw_status st = BW_OK;
    bw_config old = bw_config_default(), now = *config;
    char *path = NULL;

    BW_TRY(bw__folder_file(&path, folder, BW_RUN_CONFIG));
    st = bw_config_load_file(&old, path);
    if (st == BW_OK) st = bw_config_resolve(&old);
    if (st == BW_EINVAL) st = bw_fail_prefix(BW_EDATA, "%s: cannot go on with this run", folder);
    if (st != BW_OK) goto out;
    /* Left open until the data has been looked at, which is after the first look at the folder. */
    if (now.loss.classes == 0) now.loss.classes = old.loss.classes;
    for (int k = 0; k < BW_MAX_BLOCKS; k++)
        if (now.block[k].loss.classes == 0) now.block[k].loss.classes = old.block[k].loss.classes;
    st = bw_config_same_run(&old, &now);
    if (st != BW_OK) st = bw_fail_prefix(st, "%s: cannot go on with this run", folder);
out:
    bw__free(path);
    return st;
}

bw_status bw__run_look(bw_run_state *out, const char *folder, const bw_config *config, bool resume)
{
    contents c;
    *out = BW_RUN_NEW;
    bw_status st = list(&c, folder);
    if (st != BW_OK || c.entries == 0) return st;
    if (!resume)
        return bw_fail(BW_EEXIST, "%s: exists and is not empty; choose another folder%s", folder,
                       c.config ? ", or go on with this run (--resume)" : "");
    if (!c.config && c.foreign == 0) return BW_OK;
    if (!c.config)
        return bw_fail(BW_EEXIST, "%s: not a run (no %s in it); choose another folder", folder,
                       BW_RUN_CONFIG);
    st = compare_config(folder, config);
    if (st == BW_OK) *out = c.finished ? BW_RUN_COMPLETE : BW_RUN_STARTED;
    return st;
}

/* --- the lock --- */

static bw_status take_lock(bw_run_folder *run)
{
    const char *path;
    bw_status st = bw__run_path(&path, run, BW_RUN_LOCK);
    if (st != BW_OK) return st;
    run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (run->lock < 0) return bw_fail(BW_EIO, "%s: cannot write: %s", path, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0) return BW_OK;
    if (errno == EWOULDBLOCK)
        return bw_fail(BW_EEXIST, "%s: another process is writing this run; wait for it or end it",
                       run->folder);
    /* Some network file systems have no locks; the run itself does not need one. */
    bw_log(BW_LOG_WARN, "%s: cannot be locked (%s); let no other process write it", path, strerror(errno));
    return BW_OK;
}

/* Under the lock nobody else writes here, so what stands under a temporary name was left by a process that
 * was killed. */
static void remove_temporaries(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    if (!dir) return;
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, TEMPORARY_MARK)) (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

bw_status bw__run_open(bw_run_folder **out, bw_run_state *out_state, const char *folder,
                       const bw_config *config, bool resume)
{
    bw_status st = BW_OK;
    bw_run_folder *run = NULL;
    const char *path;

    *out = NULL;
    BW_TRY(BW_ALLOC(&run, 1));
    run->lock = -1;
    BW_TRY(bw__strdup(&run->folder, folder));
    BW_TRY(bw__folder_make(folder));
    BW_TRY(take_lock(run));
    BW_TRY(bw__run_look(out_state, folder, config, resume));
    remove_temporaries(folder);
    BW_TRY(bw__run_path(&path, run, BW_RUN_CHECKPOINTS));
    remove_temporaries(path);
    *out = run;
    run = NULL;
out:
    bw__run_close(run);
    return st;
}

void bw__run_close(bw_run_folder *run)
{
    if (!run) return;
    if (run->lock >= 0) (void)close(run->lock);
    bw__free(run->path);
    bw__free(run->folder);
    bw__free(run);
}

/* --- files --- */

bw_status bw__run_path(const char **out, bw_run_folder *run, const char *name)
{
    bw__free(run->path);
    run->path = NULL;
    bw_status st = bw__folder_file(&run->path, run->folder, name);
    *out = run->path;
    return st;
}

bw_status bw__run_write(bw_run_folder *run, const char *name, const char *text)
{
    bw_atomic_file file;
    const char *path;
    bw_status st = bw__run_path(&path, run, name);
    if (st == BW_OK) st = bw__atomic_open(&file, path);
    if (st != BW_OK) return st;
    (void)fputs(text, file.stream); /* a failure is found at commit */
    return bw__atomic_commit(&file);
}

bw_status bw__run_write_config(bw_run_folder *run, const bw_config *config)
{
    char *yaml = NULL;
    bw_status st = bw_config_to_yaml(&yaml, config);
    if (st == BW_OK) st = bw__run_write(run, BW_RUN_CONFIG, yaml);
    bw__free(yaml);
    return st;
}

bw_status bw__run_refuse(const char *folder)
{
    enum { HINT_ROOM = 2048 };
    char hint[HINT_ROOM];
    struct stat info;
    if (stat(folder, &info) == 0 || errno != ENOENT)
        return bw_fail(BW_EDATA, "%s: not a run folder: it has no %s", folder, BW_RUN_CONFIG);
    bw__missing_hint(hint, sizeof hint, folder);
    return bw_fail(BW_EDATA, "%s: no such run folder%s", folder, hint);
}
