/* Bytes of a whole file: mapped where it is plain, inflated once into memory where it is gzip. */
#ifndef BW_DATA_BLOB_H
#define BW_DATA_BLOB_H
#include "base/memory.h"

typedef struct bw_blob {
    const uint8_t *data;
    size_t size;
    void *mapping; /* what to unmap, or NULL */
    void *heap;    /* what to free, or NULL */
} bw_blob;

/* The first bytes of the file after inflating, at most `size`; *got says how many there are. */
BW_MUST_CHECK
bw_status bw__blob_head(const char *path, uint8_t *head, size_t size, size_t *got);

/* Of a gzip file at most `limit` + 1 bytes are inflated, so that a caller who knows the right size sees
 * too much data without paying for it. BW_EIO; BW_EDATA for damaged gzip data; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__blob_open(bw_blob *out, const char *path, size_t limit);
/* A file that is never gzip, whatever its first bytes: raw pixels may look like anything. */
BW_MUST_CHECK
bw_status bw__blob_map(bw_blob *out, const char *path);
void bw__blob_close(bw_blob *blob);

/* A plain file read into memory that the caller frees: for files that are used once. */
BW_MUST_CHECK
bw_status bw__read_file(uint8_t **out, size_t *size, const char *path);
#endif
