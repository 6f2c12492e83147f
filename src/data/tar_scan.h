/* Walks through the headers of one plain tar archive, with libarchive. */
#ifndef BW_DATA_TAR_SCAN_H
#define BW_DATA_TAR_SCAN_H
#include "base/memory.h"
#include <stdbool.h>

typedef struct bw_tar_entry {
    const char *name;     /* as stored, long names put together; "./" in front is taken off */
    int64_t offset, size; /* of its bytes in the file */
} bw_tar_entry;

/* Why a walk ended before the end of the archive. */
typedef enum bw_tar_damage {
    BW_TAR_WHOLE,
    BW_TAR_NOT_TAR,   /* does not begin as a tar does */
    BW_TAR_HEADER,    /* a header whose checksum is wrong, or that makes no sense */
    BW_TAR_TRUNCATED, /* the file ends inside of an entry */
    BW_TAR_NO_END     /* the file ends behind an entry, without the mark of the end */
} bw_tar_damage;

typedef struct bw_tar_end {
    bw_tar_damage damage;
    int64_t offset; /* of the first byte that could not be used; size of the file for BW_TAR_NO_END */
} bw_tar_end;

/* Calls `visit` for every whole regular file of the archive `fd` of `bytes` bytes, in its order; folders,
 * links and sparse files are passed over. Any bytes are safe. *end says whether it came to the end; damage is
 * no failure. Fails as `visit` does, or BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__tar_scan(bw_tar_end *end, int fd, int64_t bytes,
                       bw_status (*visit)(void *user, const bw_tar_entry *entry), void *user);

/* What a damage is called. */
const char *bw__tar_damage_text(bw_tar_damage damage);
#endif
