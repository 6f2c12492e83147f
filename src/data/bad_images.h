/* Images that could not be read: each counted once, the first few told, a limit on their number. */
#ifndef BW_DATA_BAD_IMAGES_H
#define BW_DATA_BAD_IMAGES_H
#include "base/memory.h"
#include "blockwise/dataset.h"
#include <stdbool.h>

typedef struct bw_bad_images {
    const bw_dataset *dataset;
    int64_t used;  /* images of it that are used */
    int64_t limit; /* the most that may be bad: one fewer than all in any case */
    double share;  /* as it was set */
    int64_t count;
    int64_t *
        seen; /* [room] a table of the bad images' numbers plus 1, 0 where a place is free; grows with them */
    int64_t room; /* a power of two above 2 count, or 0 */
} bw_bad_images;

/* BW_EDATA: more of the data is out of reach, in damaged shards, than `share`. */
BW_MUST_CHECK
bw_status bw__bad_images_check_loss(const bw_dataset *dataset, double share);
/* BW_EDATA: as that. */
BW_MUST_CHECK
bw_status bw__bad_images_init(bw_bad_images *bad, const bw_dataset *dataset, int64_t used, double share);
void bw__bad_images_clear(bw_bad_images *bad);

/* Whether it has been taken. */
bool bw__bad_images_has(const bw_bad_images *bad, int64_t index);
/* Takes one more, with what bw_dataset_read() said of it.
 * BW_EDATA: these are more than the limit. */
BW_MUST_CHECK
bw_status bw__bad_images_add(bw_bad_images *bad, int64_t index, const char *reason);
#endif
