/* Any bytes as an image: they decode to a whole image or are refused, and no byte outside is touched. */
#include "data/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bw_image image = { 0 };
    bw_status st = bw__decode(&image, data, size, NULL);
    if (st == BW_OK) {
        size_t bytes = (size_t)(image.height * image.width) * 3;
        BW_ASSERT(image.height >= 1 && image.width >= 1 && image.height <= BW_MAX_PIXELS / image.width);
        BW_ASSERT(image.rgb && image.capacity >= bytes);
        /* A read of the last byte shows the sanitizer a buffer that is too small. */
        volatile uint8_t last = image.rgb[bytes - 1];
        (void)last;
    } else {
        BW_ASSERT(st == BW_EDATA || st == BW_ENOMEM);
        BW_ASSERT(bw_last_error()[0] != '\0');
    }
    bw_image_clear(&image);
    return 0;
}
