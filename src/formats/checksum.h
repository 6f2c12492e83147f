/* XXH3, 64 bits: finds damage, not malice. */
#ifndef BW_FORMATS_CHECKSUM_H
#define BW_FORMATS_CHECKSUM_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>
uint64_t bw__checksum(const void *data, size_t bytes);
/* Of a whole file, read in pieces. BW_EIO where it cannot be read. */
BW_MUST_CHECK
bw_status bw__checksum_file(uint64_t *out, const char *path);
/* Of the first `bytes` bytes of an open file, read in pieces; its position is not moved. BW_EIO without a
 * name where there are fewer. */
BW_MUST_CHECK
bw_status bw__checksum_part(uint64_t *out, int fd, uint64_t bytes);
#endif
