#include "data/blob.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* No image file is this large; a wrong path may be. */
#define READ_LIMIT_BYTES ((int64_t)1 << 30)

bw_status bw__blob_head(const char *path, uint8_t *head, size_t size, size_t *got)
{
    *got = 0;
    gzFile file = gzopen(path, "rb");
    if (!file) return bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    int n = gzread(file, head, (unsigned)size);
    gzclose(file);
    if (n < 0) return bw_fail(BW_EDATA, "%s: damaged gzip data", path);
    *got = (size_t)n;
    return BW_OK;
}

static bw_status inflate_file(bw_blob *out, const char *path, size_t limit)
{
    bw_status st = BW_OK;
    size_t size = 0, capacity = 0;
    void *data = NULL;
    gzFile file = gzopen(path, "rb");
    if (!file) return bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    /* Grows with what is really there: a header that promises too much costs nothing. */
    while (size <= limit) {
        if (size == capacity) {
            void *larger;
            size_t next = capacity ? 2 * capacity : (size_t)1 << 20;
            if (next > limit + 1) next = limit + 1;
            BW_TRY(bw__alloc(&larger, next));
            if (size) memcpy(larger, data, size);
            bw__free(data);
            data = larger;
            capacity = next;
        }
        size_t room = capacity - size;
        int n = gzread(file, (uint8_t *)data + size, room > (1u << 30) ? 1u << 30 : (unsigned)room);
        if (n < 0) {
            st = bw_fail(BW_EDATA, "%s: damaged gzip data after %zu bytes", path, size);
            goto out;
        }
        if (n == 0) break;
        size += (size_t)n;
    }
    int code = 0;
    (void)gzerror(file, &code);
    if (code == Z_BUF_ERROR) {
        st = bw_fail(BW_EDATA, "%s: truncated gzip data: it ends after %zu bytes", path, size);
        goto out;
    }
    *out = (bw_blob){ .data = data, .size = size, .heap = data };
    data = NULL;
out:
    gzclose(file);
    bw__free(data);
    return st;
}

static bw_status map_file(bw_blob *out, const char *path, int fd, size_t size)
{
    if (size == 0) return BW_OK;
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return bw_fail(BW_EIO, "%s: cannot map: %s", path, strerror(errno));
    *out = (bw_blob){ .data = p, .size = size, .mapping = p };
    return BW_OK;
}

static bw_status open_blob(bw_blob *out, const char *path, size_t limit, bool may_be_gzip)
{
    bw_status st = BW_OK;
    struct stat info;
    uint8_t magic[2] = { 0, 0 };
    *out = (bw_blob){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = bw_fail(BW_EIO, "%s: not a regular file", path);
    else if (may_be_gzip && pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b)
        st = inflate_file(out, path, limit);
    else
        st = map_file(out, path, fd, (size_t)info.st_size);
    close(fd);
    return st;
}

bw_status bw__blob_open(bw_blob *out, const char *path, size_t limit)
{
    return open_blob(out, path, limit > SIZE_MAX / 4 ? SIZE_MAX / 4 : limit, true);
}

bw_status bw__blob_map(bw_blob *out, const char *path)
{
    return open_blob(out, path, 0, false);
}

void bw__blob_close(bw_blob *blob)
{
    if (blob->mapping) munmap(blob->mapping, blob->size);
    bw__free(blob->heap);
    *blob = (bw_blob){ 0 };
}

bw_status bw__read_file(uint8_t **out, size_t *size, const char *path)
{
    bw_status st = BW_OK;
    struct stat info;
    uint8_t *data = NULL;
    size_t done = 0;
    *out = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return bw_fail(BW_EDATA, "cannot open: %s", strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        st = bw_fail(BW_EDATA, "not a regular file");
        goto out;
    }
    if (info.st_size > READ_LIMIT_BYTES) {
        st = bw_fail(BW_EDATA, "too large for an image: %lld bytes", (long long)info.st_size);
        goto out;
    }
    BW_TRY(bw__alloc((void **)&data, (size_t)info.st_size));
    while (done < (size_t)info.st_size) {
        ssize_t n = read(fd, data + done, (size_t)info.st_size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            st = bw_fail(BW_EDATA, "cannot read: %s", strerror(errno));
            goto out;
        }
        if (n == 0) break;
        done += (size_t)n;
    }
    *out = data;
    *size = done;
    data = NULL;
out:
    close(fd);
    bw__free(data);
    return st;
}
