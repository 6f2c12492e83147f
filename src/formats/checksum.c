#include "formats/checksum.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { PIECE = 1 << 20 };

uint64_t bw__checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

bw_status bw__checksum_file(uint64_t *out, const char *path)
{
    bw_status st = BW_OK;
    void *piece = NULL;
    size_t n;
    XXH3_state_t *hash = XXH3_createState();
    FILE *f = fopen(path, "rb");

    *out = 0;
    if (!f) BW_TRY(bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno)));
    if (!hash) BW_TRY(bw_fail(BW_ENOMEM, "out of memory: checksum of %s", path));
    BW_TRY(bw__alloc(&piece, PIECE));
    (void)XXH3_64bits_reset(hash);
    while ((n = fread(piece, 1, PIECE, f)) > 0)
        (void)XXH3_64bits_update(hash, piece, n);
    if (ferror(f)) BW_TRY(bw_fail(BW_EIO, "%s: cannot read: %s", path, strerror(errno)));
    *out = XXH3_64bits_digest(hash);
out:
    if (f) (void)fclose(f);
    (void)XXH3_freeState(hash);
    bw__free(piece);
    return st;
}

bw_status bw__checksum_part(uint64_t *out, int fd, uint64_t bytes)
{
    bw_status st = BW_OK;
    void *piece = NULL;
    XXH3_state_t *hash = XXH3_createState();

    *out = 0;
    if (!hash) return bw_fail(BW_ENOMEM, "out of memory: checksum");
    BW_TRY(bw__alloc(&piece, PIECE));
    (void)XXH3_64bits_reset(hash);
    for (uint64_t done = 0; done < bytes;) {
        const size_t wanted = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;
        const ssize_t n = pread(fd, piece, wanted, (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) BW_TRY(bw_fail(BW_EIO, "cannot read: %s", strerror(errno)));
        if (n == 0) BW_TRY(bw_fail(BW_EIO, "ends at byte %llu", (unsigned long long)done));
        (void)XXH3_64bits_update(hash, piece, (size_t)n);
        done += (uint64_t)n;
    }
    *out = XXH3_64bits_digest(hash);
out:
    (void)XXH3_freeState(hash);
    bw__free(piece);
    return st;
}
