/* Names of packed images: the data set's own where WebDataset's rules can hold them. */
#ifndef BW_DATA_PACK_NAME_H
#define BW_DATA_PACK_NAME_H
#include "base/memory.h"
#include <stdbool.h>

enum { BW_PACK_NAME = 4600 };

typedef struct bw_pack_name {
    char key[BW_PACK_NAME];        /* of the sample: the name without its ending */
    char image[BW_PACK_NAME + 16]; /* of the entry with the image */
} bw_pack_name;

/* The name for an image called `name` in its data set, behind one whose key is `before` ("" for none). An
 * image keeps its name, but: a dot inside of it becomes _, since a key ends at the first one; a leading slash
 * and . and
 * .. go; one that does not end as an image does gets the ending of what `bytes` begin with; and one whose key
 * is that of the image before gets _2 and so on. */
void bw__pack_name(bw_pack_name *out, const char *name, const char *before, const uint8_t *bytes,
                   size_t size);
#endif
