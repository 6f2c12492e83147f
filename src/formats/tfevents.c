#include "formats/tfevents.h"
#include "base/memory.h"
#include <tfevents.pb-c.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char VERSION_TEXT[] = "brain.Event:2";

enum {
    HEAD_BYTES = 12, /* of a record before its message */
    TAIL_BYTES = 4,
    TAG_ROOM = 96,
    SAME_SECOND = 1000
};

/* A value and what it points to. */
typedef struct kept_value {
    Bw__Tf__Value value;
    Bw__Tf__Image image;
    char tag[TAG_ROOM];
} kept_value;

struct bw_tfevents {
    FILE *stream;
    char *path;
    kept_value *kept;       /* [room] */
    Bw__Tf__Value **values; /* [room], those of `kept` as they are written */
    size_t n, room;
    uint8_t *record; /* [record_room] */
    size_t record_room;
};

static double wall_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* CRC-32C, rotated and shifted as tensorflow does it, so that a sum over data with sums in it is no
 * special case. */
static uint32_t masked_crc(uint8_t *bytes, size_t n)
{
    uint32_t crc = ~crc32_iscsi(bytes, (int)n, ~0U);
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

static void put_little_endian(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static bw_status failed(const bw_tfevents *e)
{
    return bw_fail(BW_EIO, "%s: cannot write: %s", e->path, strerror(errno));
}

static bw_status write_event(bw_tfevents *e, const Bw__Tf__Event *event)
{
    bw_status st = BW_OK;
    size_t message = bw__tf__event__get_packed_size(event), bytes = HEAD_BYTES + message + TAIL_BYTES;
    if (bytes > e->record_room) {
        bw__free(e->record);
        e->record = NULL;
        e->record_room = 0;
        BW_TRY(bw__alloc((void **)&e->record, bytes));
        e->record_room = bytes;
    }
    put_little_endian(e->record, message, 8);
    put_little_endian(e->record + 8, masked_crc(e->record, 8), 4);
    (void)bw__tf__event__pack(event, e->record + HEAD_BYTES);
    put_little_endian(e->record + HEAD_BYTES + message, masked_crc(e->record + HEAD_BYTES, message), 4);
    if (fwrite(e->record, 1, bytes, e->stream) != bytes || fflush(e->stream) != 0) st = failed(e);
out:
    return st;
}

/* Two files of the same second are told apart by a number. */
static bw_status open_new(bw_tfevents *e, const char *folder)
{
    const long long now = (long long)wall_s();
    const size_t size = strlen(folder) + 64;
    bw_status st = bw__alloc((void **)&e->path, size);
    if (st != BW_OK) return st;
    for (int i = 0; i < SAME_SECOND; i++) {
        (void)snprintf(e->path, size, "%s/events.out.tfevents.%010lld.%03d.blockwise", folder, now, i);
        e->stream = fopen(e->path, "wxe");
        if (e->stream) return BW_OK;
        if (errno != EEXIST) break;
    }
    return bw_fail(BW_EIO, "%s: cannot be created: %s", e->path, strerror(errno));
}

bw_status bw__tfevents_open(bw_tfevents **out, const char *folder, int64_t first_step)
{
    bw_status st = BW_OK;
    bw_tfevents *e = NULL;
    Bw__Tf__Event event = BW__TF__EVENT__INIT;
    Bw__Tf__SessionLog session = BW__TF__SESSION_LOG__INIT;
    *out = NULL;
    BW_TRY(BW_ALLOC(&e, 1));
    BW_TRY(open_new(e, folder));
    event.wall_time = wall_s();
    event.what_case = BW__TF__EVENT__WHAT_FILE_VERSION;
    event.file_version = (char *)(uintptr_t)VERSION_TEXT;
    BW_TRY(write_event(e, &event));
    session.status = BW__TF__SESSION_LOG__STATUS__START;
    event.step = first_step;
    event.what_case = BW__TF__EVENT__WHAT_SESSION_LOG;
    event.session_log = &session;
    BW_TRY(write_event(e, &event));
    *out = e;
    e = NULL;
out:
    bw__tfevents_close(e);
    return st;
}

static void drop_values(bw_tfevents *e)
{
    for (size_t i = 0; i < e->n; i++)
        bw__free(e->kept[i].image.encoded_image_string.data);
    e->n = 0;
}

void bw__tfevents_close(bw_tfevents *e)
{
    if (!e) return;
    if (e->stream) (void)fclose(e->stream);
    drop_values(e);
    bw__free(e->kept);
    bw__free(e->values);
    bw__free(e->record);
    bw__free(e->path);
    bw__free(e);
}

static bw_status make_room(bw_tfevents *e)
{
    bw_status st = BW_OK;
    const size_t room = 2 * e->room + 64;
    kept_value *kept = NULL;
    Bw__Tf__Value **values = NULL;
    if (e->n < e->room) return BW_OK;
    BW_TRY(BW_ALLOC(&kept, room));
    BW_TRY(BW_ALLOC(&values, room));
    if (e->n > 0) memcpy(kept, e->kept, e->n * sizeof *kept);
    bw__free(e->kept);
    bw__free(e->values);
    e->kept = kept;
    e->values = values;
    e->room = room;
    return BW_OK;
out:
    bw__free(kept);
    return st;
}

/* The next value, with its tag. Pointers within it are set when it is written, since the list may move. */
static bw_status next_value(kept_value **out, bw_tfevents *e, const char *tag)
{
    bw_status st = make_room(e);
    if (st != BW_OK) return st;
    kept_value *v = &e->kept[e->n];
    bw__tf__value__init(&v->value);
    bw__tf__image__init(&v->image);
    (void)snprintf(v->tag, sizeof v->tag, "%s", tag);
    *out = v;
    return BW_OK;
}

bw_status bw__tfevents_add(bw_tfevents *e, const char *tag, double value)
{
    kept_value *v = NULL;
    if (!isfinite(value)) return BW_OK;
    bw_status st = next_value(&v, e, tag);
    if (st != BW_OK) return st;
    v->value.value_case = BW__TF__VALUE__VALUE_SIMPLE_VALUE;
    v->value.simple_value = (float)value;
    e->n++;
    return BW_OK;
}

bw_status bw__tfevents_add_png(bw_tfevents *e, const char *tag, const void *png, size_t bytes, int height,
                               int width)
{
    enum { RGB = 3 };
    kept_value *v = NULL;
    bw_status st = next_value(&v, e, tag);
    if (st != BW_OK) return st;
    st = bw__alloc((void **)&v->image.encoded_image_string.data, bytes);
    if (st != BW_OK) return st;
    memcpy(v->image.encoded_image_string.data, png, bytes);
    v->image.encoded_image_string.len = bytes;
    v->image.height = height;
    v->image.width = width;
    v->image.colorspace = RGB;
    v->value.value_case = BW__TF__VALUE__VALUE_IMAGE;
    e->n++;
    return BW_OK;
}

bw_status bw__tfevents_write(bw_tfevents *e, int64_t step)
{
    bw_status st = BW_OK;
    Bw__Tf__Event event = BW__TF__EVENT__INIT;
    Bw__Tf__Summary summary = BW__TF__SUMMARY__INIT;
    if (e->n == 0) return BW_OK;
    for (size_t i = 0; i < e->n; i++) {
        kept_value *v = &e->kept[i];
        v->value.tag = v->tag;
        if (v->value.value_case == BW__TF__VALUE__VALUE_IMAGE) v->value.image = &v->image;
        e->values[i] = &v->value;
    }
    summary.n_value = e->n;
    summary.value = e->values;
    event.wall_time = wall_s();
    event.step = step;
    event.what_case = BW__TF__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    st = write_event(e, &event);
    drop_values(e);
    return st;
}
