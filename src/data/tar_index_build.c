/* Makes the index of a list of shards in one walk through their headers. What belongs together is told by
 * WebDataset's rules (base_plus_ext(), tar_file_iterator() and group_by_keys() in its tariterators.py, as of
 * version 0.2): entries that follow each other and have the same name up to the first dot behind the last
 * slash are one sample; what is behind that dot, in lower case, says what an entry is; names without a dot or
 * that begin with one, and __names__, are passed over. New here: the number in a .cls file is the label, the
 * first image of a sample is the image, and the folder part of its name is kept. */
#include "data/files.h"
#include "data/shard_files.h"
#include "data/tar_index.h"
#include "formats/checksum.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { NAME_LIMIT = 65535 };

typedef struct folder_table {
    char **names; /* [n] in the order in which they came */
    uint64_t *images;
    uint32_t *slots; /* [room], number of a folder plus 1; room is a power of two above 2 n */
    uint32_t n, room, last;
} folder_table;

typedef struct builder {
    const bw_shard_list *shards;
    const char *path;
    FILE *records, *names; /* the file, and a temporary one */
    uint64_t images, names_bytes;
    folder_table folders;
    uint64_t *label_images; /* [labels_room] */
    int64_t labels, labels_room;
    bw_tar_remark bad_labels, extra_images;
    bw_tar_shard_state *states;
    int64_t shard; /* that is being walked through, open as `fd` */
    int fd;
    /* the sample that is being put together */
    char *key, *image; /* key; name of its image, "" while there is none */
    size_t key_room, image_room;
    bw_tar_record record;
} builder;

/* --- folders --- */

static bw_status grow_folders(folder_table *t)
{
    bw_status st = BW_OK;
    const uint32_t room = t->room ? 2 * t->room : 64;
    char **names = NULL;
    uint64_t *images = NULL;
    uint32_t *slots = NULL;
    BW_TRY(BW_ALLOC(&names, room / 2));
    BW_TRY(BW_ALLOC(&images, room / 2));
    BW_TRY(BW_ALLOC(&slots, room));
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t at = (uint32_t)bw__checksum(t->names[i], strlen(t->names[i])) & (room - 1);
        while (slots[at])
            at = (at + 1) & (room - 1);
        slots[at] = i + 1;
        names[i] = t->names[i];
        images[i] = t->images[i];
    }
    bw__free(t->names);
    bw__free(t->images);
    bw__free(t->slots);
    t->names = names;
    t->images = images;
    t->slots = slots;
    t->room = room;
    return BW_OK;
out:
    bw__free(names);
    bw__free(images);
    bw__free(slots);
    return st;
}

static bool is_name(const char *known, const char *name, size_t n)
{
    return strncmp(known, name, n) == 0 && known[n] == '\0';
}

/* Number of the folder `name`. Past the limit the last one stands for all further ones, and the number of
 * folders says that they are too many. */
static bw_status find_folder(uint32_t *out, folder_table *t, const char *name, size_t n)
{
    bw_status st = BW_OK;
    *out = t->last;
    if (t->n > 0 && is_name(t->names[t->last], name, n)) return BW_OK;
    if (2 * (t->n + 1) > t->room) BW_TRY(grow_folders(t));
    uint32_t at = (uint32_t)bw__checksum(name, n) & (t->room - 1);
    while (t->slots[at] && !is_name(t->names[t->slots[at] - 1], name, n))
        at = (at + 1) & (t->room - 1);
    if (t->slots[at]) {
        *out = t->last = t->slots[at] - 1;
        return BW_OK;
    }
    if (t->n > BW_TAR_MAX_FOLDERS) {
        *out = t->last = BW_TAR_MAX_FOLDERS;
        return BW_OK;
    }
    BW_TRY(bw__alloc((void **)&t->names[t->n], n + 1));
    memcpy(t->names[t->n], name, n);
    *out = t->last = t->n++;
    t->slots[at] = t->n;
out:
    return st;
}

/* --- samples --- */

static void remark(bw_tar_remark *r, const builder *b, const char *name)
{
    if (r->count++ == 0)
        (void)snprintf(r->first, sizeof r->first, "%s: %s", bw__path_base(b->shards->at[b->shard].path),
                       name);
}

static bw_status count_label(builder *b, int32_t label)
{
    if (label < 0) return BW_OK;
    if (label >= b->labels_room) {
        uint64_t *more;
        const int64_t room = 2 * (int64_t)label + 16;
        bw_status st = BW_ALLOC(&more, room);
        if (st != BW_OK) return st;
        if (b->labels) memcpy(more, b->label_images, (size_t)b->labels * sizeof *more);
        bw__free(b->label_images);
        b->label_images = more;
        b->labels_room = room;
    }
    if (label >= b->labels) b->labels = label + 1;
    b->label_images[label]++;
    return BW_OK;
}

/* Writes the sample, if it has an image. */
static bw_status end_sample(builder *b)
{
    bw_status st = BW_OK;
    if (b->image_room && *b->image) {
        const size_t n = strlen(b->image);
        const char *slash = strrchr(b->image, '/');
        b->record.name = b->names_bytes << 16 | n;
        b->record.shard = (uint32_t)b->shard;
        BW_TRY(find_folder(&b->record.folder, &b->folders, b->image, slash ? (size_t)(slash - b->image) : 0));
        BW_TRY(count_label(b, b->record.label));
        b->folders.images[b->record.folder]++;
        b->states[b->shard].images++;
        b->images++;
        b->names_bytes += n;
        /* Failures of these two are found at the end. */
        (void)fwrite(&b->record, sizeof b->record, 1, b->records);
        (void)fwrite(b->image, 1, n, b->names);
        *b->image = '\0';
    }
    if (b->key_room) *b->key = '\0';
    b->record = (bw_tar_record){ .label = -1 };
out:
    return st;
}

static bw_status keep(char **text, size_t *room, const char *from, size_t n)
{
    if (n + 1 > *room) {
        char *more;
        bw_status st = bw__alloc((void **)&more, 2 * n + 256);
        if (st != BW_OK) return st;
        bw__free(*text);
        *text = more;
        *room = 2 * n + 256;
    }
    memcpy(*text, from, n);
    (*text)[n] = '\0';
    return BW_OK;
}

/* The whole number in a .cls file; -1 where there is none. */
static int32_t read_label(const builder *b, const bw_tar_entry *e)
{
    char text[32], *end;
    const size_t n = e->size < (int64_t)sizeof text ? (size_t)e->size : sizeof text - 1;
    if (bw__read_at(b->fd, e->offset, text, n) != BW_OK) return -1;
    text[n] = '\0';
    const long value = strtol(text, &end, 10);
    if (end == text) return -1;
    while (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t')
        end++;
    return *end == '\0' && value >= 0 && value < BW_TAR_MAX_LABEL ? (int32_t)value : -1;
}

/* __names__ carry remarks of the writer, not samples. */
static bool is_meta(const char *name)
{
    const size_t n = strcspn(name, "/");
    return n > 4 && memcmp(name, "__", 2) == 0 && memcmp(name + n - 2, "__", 2) == 0;
}

static bw_status take_entry(void *user, const bw_tar_entry *e)
{
    bw_status st = BW_OK;
    builder *b = user;
    const char *base = bw__path_base(e->name), *dot = strchr(base, '.');
    const size_t n = strlen(e->name), key = dot ? (size_t)(dot - e->name) : 0;
    if (!dot || dot == base || n > NAME_LIMIT || is_meta(e->name)) return BW_OK;
    if (!b->key_room || !*b->key || !is_name(b->key, e->name, key)) {
        BW_TRY(end_sample(b));
        BW_TRY(keep(&b->key, &b->key_room, e->name, key));
    }
    if (strcasecmp(dot, ".cls") == 0) {
        b->record.label = read_label(b, e);
        if (b->record.label < 0) remark(&b->bad_labels, b, e->name);
    } else if (bw__files_is_image_name(base)) {
        if (b->image_room && *b->image) {
            remark(&b->extra_images, b, e->name);
            return BW_OK;
        }
        BW_TRY(keep(&b->image, &b->image_room, e->name, n));
        b->record.offset = (uint64_t)e->offset;
        b->record.bytes = e->size < UINT32_MAX ? (uint32_t)e->size : UINT32_MAX;
    }
out:
    return st;
}

static bw_status walk_shard(builder *b, int64_t shard)
{
    bw_status st = BW_OK;
    const bw_shard *s = &b->shards->at[shard];
    bw_tar_shard_state *state = &b->states[shard];
    bw_tar_end end;
    b->shard = shard;
    b->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (b->fd < 0) return bw_fail(BW_EIO, "%s: cannot open: %s", s->path, strerror(errno));
    BW_TRY(bw__tar_scan(&end, b->fd, s->bytes, take_entry, b));
    BW_TRY(end_sample(b));
    state->bytes = (uint64_t)s->bytes;
    state->mtime_s = s->mtime_s;
    state->mtime_ns = s->mtime_ns;
    state->damage = (uint32_t)end.damage;
    state->damage_at = (uint64_t)end.offset;
out:
    (void)close(b->fd);
    return st;
}

/* --- the file --- */

static void put_text(builder *b, const char *text)
{
    const uint32_t n = (uint32_t)strlen(text);
    (void)fwrite(&n, sizeof n, 1, b->records);
    (void)fwrite(text, 1, n, b->records);
}

static bw_status append_names(builder *b)
{
    enum { PIECE = 1 << 16 };
    char *piece = NULL;
    bw_status st = bw__alloc((void **)&piece, PIECE);
    if (st != BW_OK) return st;
    rewind(b->names);
    for (size_t n; (n = fread(piece, 1, PIECE, b->names)) > 0;)
        (void)fwrite(piece, 1, n, b->records);
    bw__free(piece);
    return BW_OK;
}

static void put_tail(builder *b)
{
    for (int64_t i = 0; i < b->shards->n; i++) {
        (void)fwrite(&b->states[i], sizeof b->states[i], 1, b->records);
        put_text(b, bw__shard_name(b->shards, i));
    }
    for (uint32_t i = 0; i < b->folders.n; i++) {
        (void)fwrite(&b->folders.images[i], sizeof *b->folders.images, 1, b->records);
        put_text(b, b->folders.names[i]);
    }
    if (b->labels) (void)fwrite(b->label_images, sizeof *b->label_images, (size_t)b->labels, b->records);
    const bw_tar_remark *remarks[] = { &b->bad_labels, &b->extra_images };
    for (int i = 0; i < 2; i++) {
        (void)fwrite(&remarks[i]->count, sizeof remarks[i]->count, 1, b->records);
        put_text(b, remarks[i]->first);
    }
}

static bw_status fail_write(const builder *b)
{
    return bw_fail(BW_EIO, "%s: cannot write the index of the shards: %s", b->path,
                   errno ? strerror(errno) : "error");
}

/* Names, tail, head and checksum behind the records. */
static bw_status finish(builder *b)
{
    bw_status st = BW_OK;
    bw_tar_index_head head = { .magic = BW_TAR_INDEX_MAGIC,
                               .version = BW_TAR_INDEX_VERSION,
                               .record_bytes = sizeof(bw_tar_record),
                               .images = b->images,
                               .shards = (uint64_t)b->shards->n,
                               .folders = b->folders.n,
                               .labels = (uint64_t)b->labels };
    uint64_t sum;
    errno = 0;
    BW_TRY(append_names(b));
    head.names_at = sizeof head + b->images * sizeof(bw_tar_record);
    head.tail_at = head.names_at + b->names_bytes;
    put_tail(b);
    const off_t end = ftello(b->records);
    head.file_bytes = (uint64_t)end + sizeof sum;
    if (end < 0 || fseeko(b->records, 0, SEEK_SET) != 0) BW_TRY(fail_write(b));
    (void)fwrite(&head, sizeof head, 1, b->records);
    if (fflush(b->records) != 0 || ferror(b->records) || ferror(b->names)) BW_TRY(fail_write(b));
    BW_TRY(bw__checksum_part(&sum, fileno(b->records), (uint64_t)end));
    if (fseeko(b->records, end, SEEK_SET) != 0) BW_TRY(fail_write(b));
    (void)fwrite(&sum, sizeof sum, 1, b->records);
    if (fflush(b->records) != 0 || ferror(b->records)) BW_TRY(fail_write(b));
out:
    return st;
}

static void clear_builder(builder *b)
{
    if (b->records) (void)fclose(b->records);
    if (b->names) (void)fclose(b->names);
    for (uint32_t i = 0; i < b->folders.n; i++)
        bw__free(b->folders.names[i]);
    bw__free(b->folders.names);
    bw__free(b->folders.images);
    bw__free(b->folders.slots);
    bw__free(b->label_images);
    bw__free(b->states);
    bw__free(b->key);
    bw__free(b->image);
}

/* A stream over a copy of the descriptor; NULL where there is none to be had. */
static FILE *stream_of(int fd)
{
    const int own = dup(fd);
    FILE *stream = own >= 0 ? fdopen(own, "w+b") : NULL;
    if (!stream && own >= 0) (void)close(own);
    return stream;
}

bw_status bw__tar_index_build(int fd, int names_fd, const char *path, const bw_shard_list *shards)
{
    bw_status st = BW_OK;
    const bw_tar_index_head empty = { 0 };
    builder b = { .shards = shards, .path = path, .record.label = -1 };
    b.records = stream_of(fd);
    b.names = stream_of(names_fd);
    if (!b.records || !b.names) BW_TRY(fail_write(&b));
    BW_TRY(BW_ALLOC(&b.states, shards->n));
    (void)fwrite(&empty, sizeof empty, 1, b.records);
    for (int64_t i = 0; i < shards->n; i++)
        BW_TRY(walk_shard(&b, i));
    BW_TRY(finish(&b));
out:
    clear_builder(&b);
    return st;
}
