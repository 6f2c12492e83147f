#include "data/encode_jpeg.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define FIRST_BYTES ((size_t)32 << 10)

typedef struct encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    struct jpeg_destination_mgr sink;
    jmp_buf jump;
    uint8_t *bytes; /* [room] */
    size_t room;
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

/* --- where the bytes go: a buffer that is e->bytes at any time, so that whatever fails can free it (that of
 * jpeg_mem_dest() is known to its caller when all is done only) --- */

/* `used` bytes of the buffer, all there are, are kept, and as many are free then, or FIRST_BYTES. */
static void make_room(encoder *e, size_t used)
{
    uint8_t *larger = NULL;
    const size_t room = used ? 2 * used : FIRST_BYTES;
    if (bw__alloc_untouched((void **)&larger, room) != BW_OK) ERREXIT1(&e->jpeg, JERR_OUT_OF_MEMORY, 0);
    if (used) memcpy(larger, e->bytes, used);
    bw__free(e->bytes);
    e->bytes = larger;
    e->room = room;
    e->sink.next_output_byte = e->bytes + used;
    e->sink.free_in_buffer = room - used;
}

static void begin_bytes(j_compress_ptr jpeg)
{
    make_room(jpeg->client_data, 0);
}

static boolean more_bytes(j_compress_ptr jpeg)
{
    encoder *e = jpeg->client_data;
    make_room(e, e->room); /* full, whatever the library has left in free_in_buffer */
    return TRUE;
}

static void end_bytes(j_compress_ptr jpeg)
{
    (void)jpeg;
}

/* Everything that may longjmp: no local of the caller is alive across it. */
static void encode(encoder *e, const uint8_t *rgb, int64_t height, int64_t width, int quality)
{
    struct jpeg_compress_struct *jpeg = &e->jpeg;
    e->sink.init_destination = begin_bytes;
    e->sink.empty_output_buffer = more_bytes;
    e->sink.term_destination = end_bytes;
    jpeg->dest = &e->sink;
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
        *size = e->room - e->sink.free_in_buffer;
    } else {
        st = e->error.msg_code == JERR_OUT_OF_MEMORY
                 ? bw_fail(BW_ENOMEM, "out of memory while encoding a JPEG")
                 : bw_fail(BW_EINVAL, "JPEG encoder: %s", e->message);
        bw__free(e->bytes);
    }
    jpeg_destroy_compress(&e->jpeg);
    bw__free(e);
    return st;
}
