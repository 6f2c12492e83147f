#include "formats/atomic_file.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 1000, SUFFIX_ROOM = 64 };

static bw_status write_error(const char *path, int reason)
{
    return bw_fail(BW_EIO, "%s: cannot write: %s", path, strerror(reason));
}

/* Not mkstemp: the file is to have the permissions the umask gives, which a thread cannot read safely. */
static int open_temporary(char *name, size_t room, const char *path)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        (void)snprintf(name, room, "%s.tmp-%ld", path, (long)getpid());
        if (i > 0) (void)snprintf(name + strlen(name), room - strlen(name), "-%d", i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

bw_status bw__atomic_open(bw_atomic_file *file, const char *path)
{
    bw_status st = BW_OK;
    void *name = NULL;
    struct stat info;
    size_t room = strlen(path) + SUFFIX_ROOM;
    int fd = -1;

    *file = (bw_atomic_file){ 0 };
    /* Renaming over a device would replace the device. */
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return bw_fail(BW_EIO, "%s: cannot write: %s", path,
                       S_ISDIR(info.st_mode) ? "it is a folder" : "not a regular file");
    BW_TRY(bw__strdup(&file->path, path));
    BW_TRY(bw__alloc(&name, room));
    fd = open_temporary(name, room, path);
    if (fd < 0) BW_TRY(write_error(path, errno));
    file->temporary = name;
    name = NULL;
    file->stream = fdopen(fd, "wb");
    if (!file->stream) BW_TRY(write_error(path, errno));
    fd = -1;
out:
    if (fd >= 0) (void)close(fd);
    bw__free(name);
    if (st != BW_OK) bw__atomic_abandon(file);
    return st;
}

/* A failed fwrite sets the stream's error mark, but by the time of the commit its errno is gone; the
 * descriptor is asked again, on a file that will be removed anyway. */
static int reason_of_earlier_failure(int fd)
{
    errno = 0;
    return write(fd, "", 1) < 0 && errno != 0 ? errno : EIO;
}

static bw_status flush_to_disk(bw_atomic_file *file)
{
    bool failed_before = ferror(file->stream) != 0;
    if (fflush(file->stream) != 0) return write_error(file->path, errno);
    if (failed_before) return write_error(file->path, reason_of_earlier_failure(fileno(file->stream)));
    if (fsync(fileno(file->stream)) != 0) return write_error(file->path, errno);
    int closed = fclose(file->stream);
    file->stream = NULL;
    return closed == 0 ? BW_OK : write_error(file->path, errno);
}

/* Makes the rename itself survive a power cut. Some file systems cannot sync a folder and say EINVAL. */
static bw_status sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    char kept = slash ? slash[1] : '\0';
    if (slash) slash[1] = '\0';
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash) slash[1] = kept;
    if (fd < 0) return write_error(path, errno);
    int reason = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    (void)close(fd);
    return reason == 0 ? BW_OK : write_error(path, reason);
}

bw_status bw__atomic_commit(bw_atomic_file *file)
{
    bw_status st = BW_OK;
    BW_TRY(flush_to_disk(file));
    if (rename(file->temporary, file->path) != 0) BW_TRY(write_error(file->path, errno));
    bw__free(file->temporary);
    file->temporary = NULL;
    BW_TRY(sync_folder_of(file->path));
out:
    bw__atomic_abandon(file);
    return st;
}

void bw__atomic_abandon(bw_atomic_file *file)
{
    if (file->stream) (void)fclose(file->stream);
    if (file->temporary) (void)unlink(file->temporary);
    bw__free(file->temporary);
    bw__free(file->path);
    *file = (bw_atomic_file){ 0 };
}

bw_status bw__atomic_try(const char *path)
{
    bw_atomic_file file;
    bw_status st = bw__atomic_open(&file, path);
    bw__atomic_abandon(&file);
    return st;
}

bw_status bw__atomic_write(const char *path, const void *data, size_t bytes)
{
    bw_atomic_file file;
    bw_status st = bw__atomic_open(&file, path);
    if (st != BW_OK) return st;
    (void)fwrite(data, 1, bytes, file.stream); /* a failure is found at commit */
    return bw__atomic_commit(&file);
}
