#include "data/tar_write.h"
#include "data/dataset_internal.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512, NAME_IN_HEADER = 99 };

static bw_status cannot_write(const char *path, int reason)
{
    return bw_fail(BW_EIO, "%s: cannot write: %s", path, reason ? strerror(reason) : "unknown error");
}

static bw_status fail_archive(const bw_tar_files *files)
{
    return cannot_write(files->at[files->n - 1].path,
                        files->failed ? files->failed : archive_errno(files->archive));
}

/* libarchive never hears of a failure: it would not free what it holds then (3.6). It is kept in `failed`. */
static la_ssize_t write_block(struct archive *archive, void *user, const void *block, size_t size)
{
    bw_tar_files *files = user;
    (void)archive;
    for (size_t done = 0; done < size && !files->failed;) {
        const ssize_t n = write(files->fd, (const char *)block + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            files->failed = n < 0 ? errno : EIO;
        else
            done += (size_t)n;
    }
    return (la_ssize_t)size;
}

/* The hidden name of a file while it is written. */
static bw_status aside_name(char **out, const char *path)
{
    char *folder = NULL;
    bw_status st = bw__path_folder(&folder, path);
    if (st == BW_OK) {
        const size_t room = strlen(path) + 64;
        st = bw__alloc((void **)out, room);
        if (st == BW_OK)
            (void)snprintf(*out, room, "%s%s.%s.tmp-%ld", folder, *folder ? "/" : "", bw__path_base(path),
                           (long)getpid());
    }
    bw__free(folder);
    return st;
}

static bw_status new_file(bw_tar_files *files, const char *path)
{
    bw_status st = BW_OK;
    if (files->n == files->room) {
        bw_written *more;
        BW_TRY(BW_ALLOC(&more, 2 * files->room + 16));
        if (files->n) memcpy(more, files->at, (size_t)files->n * sizeof *more);
        bw__free(files->at);
        files->at = more;
        files->room = 2 * files->room + 16;
    }
    bw_written *w = &files->at[files->n];
    *w = (bw_written){ 0 };
    BW_TRY(bw__strdup(&w->path, path));
    files->n++;
    BW_TRY(aside_name(&w->aside, path));
    files->fd = open(w->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (files->fd >= 0) return BW_OK;
    st = cannot_write(path, errno);
    bw__free(w->aside); /* nothing to remove */
    w->aside = NULL;
out:
    return st;
}

/* All bytes on the disk. */
static bw_status close_file(bw_tar_files *files, const char *path)
{
    const int fd = files->fd, failed = fsync(fd) != 0 ? errno : 0;
    files->fd = -1;
    const int closed = close(fd) != 0 ? errno : 0;
    return failed || closed ? cannot_write(path, failed ? failed : closed) : BW_OK;
}

bw_status bw__tar_files_begin(bw_tar_files *files, const char *path)
{
    bw_status st = BW_OK;
    BW_TRY(new_file(files, path));
    files->bytes = 0;
    files->failed = 0;
    files->archive = archive_write_new();
    if (!files->archive) BW_TRY(bw_fail(BW_ENOMEM, "out of memory: writer of tar archives"));
    /* GNU's format keeps names of any bytes and length, and every reader knows it. */
    if (archive_write_set_format_gnutar(files->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(files->archive, 1) != ARCHIVE_OK ||
        archive_write_open(files->archive, files, NULL, write_block, NULL) != ARCHIVE_OK)
        st = fail_archive(files);
out:
    return st;
}

bw_status bw__tar_files_add(bw_tar_files *files, const char *name, const void *bytes, size_t size)
{
    bw_status st = BW_OK;
    struct archive_entry *e = archive_entry_new();
    if (!e) return bw_fail(BW_ENOMEM, "out of memory: entry of a tar archive");
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_mtime(e, 0, 0);
    if (archive_write_header(files->archive, e) != ARCHIVE_OK ||
        archive_write_data(files->archive, bytes, size) != (la_ssize_t)size || files->failed)
        st = fail_archive(files);
    archive_entry_free(e);
    const size_t length = strlen(name), extra = length > NAME_IN_HEADER ? 2 * BLOCK + length : 0;
    files->bytes += (int64_t)(BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK + extra / BLOCK * BLOCK);
    return st;
}

bw_status bw__tar_files_end(bw_tar_files *files)
{
    const bool good = archive_write_close(files->archive) == ARCHIVE_OK && !files->failed;
    bw_status st = good ? BW_OK : fail_archive(files);
    (void)archive_write_free(files->archive);
    files->archive = NULL;
    if (st == BW_OK) st = close_file(files, files->at[files->n - 1].path);
    return st;
}

bw_status bw__tar_files_text(bw_tar_files *files, const char *path, const char *text, size_t size)
{
    bw_status st = BW_OK;
    BW_TRY(new_file(files, path));
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(files->fd, text + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) BW_TRY(cannot_write(path, errno));
        done += (size_t)n;
    }
    st = close_file(files, path);
out:
    return st;
}

static void sync_folder_of(const char *path)
{
    char *folder = NULL;
    if (bw__path_folder(&folder, path) == BW_OK) {
        const int fd = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd);
            (void)close(fd);
        }
    }
    bw__free(folder);
}

bw_status bw__tar_files_commit(bw_tar_files *files)
{
    bw_status st = BW_OK;
    for (int64_t i = 0; i < files->n; i++)
        if (access(files->at[i].path, F_OK) == 0)
            return bw_fail(BW_EEXIST, "%s: is there already; nothing is overwritten", files->at[i].path);
    for (int64_t i = 0; i < files->n && st == BW_OK; i++) {
        bw_written *w = &files->at[i];
        if (rename(w->aside, w->path) != 0) st = cannot_write(w->path, errno);
        w->renamed = st == BW_OK;
    }
    for (int64_t i = 0; i < files->n && st != BW_OK; i++)
        if (files->at[i].renamed) (void)unlink(files->at[i].path);
    if (st == BW_OK && files->n) sync_folder_of(files->at[0].path);
    return st;
}

void bw__tar_files_clear(bw_tar_files *files)
{
    if (files->archive) {
        if (!files->failed) files->failed = ECANCELED; /* no need to write its end */
        (void)archive_write_free(files->archive);
    }
    if (files->fd >= 0) (void)close(files->fd); /* what failed may have left it open without an archive */
    for (int64_t i = 0; i < files->n; i++) {
        bw_written *w = &files->at[i];
        if (w->aside && !w->renamed) (void)unlink(w->aside);
        bw__free(w->aside);
        bw__free(w->path);
    }
    bw__free(files->at);
    *files = BW_TAR_FILES_NONE;
}
