#include "data/encode_jpeg.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

typedef struct encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    jmp_buf jump;
    unsigned char *bytes;
    unsigned long size;
    char message[JMSG_LENGTH_MAX];
} encoder;

static void stop(j_common_ptr jpeg)
{
    encoder *e = jpeg->client_data;
    jpeg->err->format_message(jpeg, e->message);
    longjmp(e->jump, 1);
}

static void say_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* Everything that may longjmp: no local of the caller is alive across it. */
static void encode(encoder *e, const uint8_t *rgb, int64_t height, int64_t width, int quality)
{
    struct jpeg_compress_struct *jpeg = &e->jpeg;
    jpeg_mem_dest(jpeg, &e->bytes, &e->size);
    jpeg->image_width = (JDIMENSION)width;
    jpeg->image_height = (JDIMENSION)height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        /* The library takes rows that are not const, and does not write to them. */
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (int64_t)jpeg->next_scanline * width * 3);
        (void)jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

bw_status bw__encode_jpeg(uint8_t **out, size_t *size, const uint8_t *rgb, int64_t height, int64_t width,
                          int quality)
{
    encoder *e;
    *out = NULL;
    if (height < 1 || width < 1 || height > JPEG_MAX_DIMENSION || width > JPEG_MAX_DIMENSION)
        return bw_fail(BW_EINVAL, "JPEG cannot hold %lld x %lld pixels", (long long)width, (long long)height);
    /* On the heap because the library keeps pointers into it, and nothing here may live in registers. */
    bw_status st = bw__alloc((void **)&e, sizeof *e);
    if (st != BW_OK) return st;
    e->jpeg.err = jpeg_std_error(&e->error);
    e->error.error_exit = stop;
    e->error.output_message = say_nothing;
    e->jpeg.client_data = e;
    if (setjmp(e->jump) == 0) {
        jpeg_create_compress(&e->jpeg);
        encode(e, rgb, height, width, quality);
        *out = e->bytes;
        *size = e->size;
    } else {
        st = e->error.msg_code == JERR_OUT_OF_MEMORY
                 ? bw_fail(BW_ENOMEM, "out of memory while encoding a JPEG")
                 : bw_fail(BW_EINVAL, "JPEG encoder: %s", e->message);
        free(e->bytes);
    }
    jpeg_destroy_compress(&e->jpeg);
    bw__free(e);
    return st;
}

void bw__encode_jpeg_free(uint8_t *bytes)
{
    free(bytes);
}
