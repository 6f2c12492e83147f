#include "formats/file.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bw_status read_all(char *dst, size_t bytes, int fd, const char *path)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, dst + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return bw_fail(BW_EIO, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) return bw_fail(BW_EIO, "%s: became shorter while it was read", path);
        done += (size_t)n;
    }
    return BW_OK;
}

bw_status bw__file_read(char **out, size_t *bytes, const char *path, size_t limit)
{
    bw_status st = BW_OK;
    void *text = NULL;
    struct stat info;

    *out = NULL;
    *bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0) BW_TRY(bw_fail(BW_EIO, "%s: cannot read: %s", path, strerror(errno)));
    if (!S_ISREG(info.st_mode)) BW_TRY(bw_fail(BW_EIO, "%s: not a regular file", path));
    if ((uint64_t)info.st_size > limit)
        BW_TRY(bw_fail(BW_EIO, "%s: %lld bytes, more than the %zu allowed here", path,
                       (long long)info.st_size, limit));
    BW_TRY(bw__alloc(&text, (size_t)info.st_size + 1));
    BW_TRY(read_all(text, (size_t)info.st_size, fd, path));
    *bytes = (size_t)info.st_size;
    *out = text;
    text = NULL;
out:
    (void)close(fd);
    bw__free(text);
    return st;
}
