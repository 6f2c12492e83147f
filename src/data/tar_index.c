#include "data/tar_index.h"
#include "data/shard_files.h"
#include "formats/checksum.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void bw__tar_index_clear(bw_tar_index *index)
{
    if (index->path) (void)close(index->fd);
    bw__free(index->path);
    bw__free(index->shards);
    bw__free(index->folders);
    bw__free(index->folder_pool);
    bw__free(index->folder_images);
    bw__free(index->label_images);
    *index = (bw_tar_index){ 0 };
}

/* Bytes that are taken one after the other; `short_of` once there were too few. */
typedef struct reader {
    const uint8_t *p, *end;
    bool short_of;
} reader;

static void take(reader *r, void *to, size_t n)
{
    if ((size_t)(r->end - r->p) < n) {
        r->short_of = true;
        memset(to, 0, n);
        return;
    }
    if (n) memcpy(to, r->p, n);
    r->p += n;
}

/* A text and its length before it; false where it does not fit. */
static bool take_text(reader *r, const char **text, size_t *n)
{
    uint32_t length;
    take(r, &length, sizeof length);
    *text = (const char *)r->p;
    *n = length;
    if ((size_t)(r->end - r->p) < length) r->short_of = true;
    if (r->short_of) return false;
    r->p += length;
    return true;
}

static void take_remark(reader *r, bw_tar_remark *remark)
{
    const char *text;
    size_t n;
    take(r, &remark->count, sizeof remark->count);
    if (!take_text(r, &text, &n)) return;
    (void)snprintf(remark->first, sizeof remark->first, "%.*s", (int)(n < 1000 ? n : 1000), text);
}

static bw_status fail_damaged(const char *path)
{
    return bw_fail(BW_EDATA, "%s: damaged or of another version", path);
}

/* Shards: their state, and the name as bw__shard_name() gives it. */
static bw_status parse_shards(bw_tar_index *x, reader *r, const bw_shard_list *list)
{
    const char *name;
    size_t n;
    bw_status st = BW_ALLOC(&x->shards, x->head.shards);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < list->n; i++) {
        bw_tar_shard_state *s = &x->shards[i];
        const bw_shard *shard = &list->at[i];
        const char *want = bw__shard_name(list, i);
        take(r, s, sizeof *s);
        if (!take_text(r, &name, &n) || s->damage > BW_TAR_NO_END) return fail_damaged(x->path);
        if (strlen(want) != n || memcmp(want, name, n) != 0)
            return bw_fail(BW_EDATA, "%s: index of other shards", x->path);
        if (s->bytes != (uint64_t)shard->bytes || s->mtime_s != shard->mtime_s ||
            s->mtime_ns != shard->mtime_ns)
            return bw_fail(BW_EDATA, "%s: %s has changed since", x->path, shard->path);
    }
    return BW_OK;
}

static bw_status parse_folders(bw_tar_index *x, reader *r)
{
    bw_status st = BW_OK;
    const char *name;
    size_t n;
    /* The pool cannot need more than what is left of the tail. */
    BW_TRY(BW_ALLOC(&x->folders, x->head.folders));
    BW_TRY(BW_ALLOC(&x->folder_images, x->head.folders));
    BW_TRY(bw__alloc((void **)&x->folder_pool, (size_t)(r->end - r->p) + (size_t)x->head.folders));
    char *p = x->folder_pool;
    for (uint64_t i = 0; i < x->head.folders; i++) {
        take(r, &x->folder_images[i], sizeof *x->folder_images);
        if (!take_text(r, &name, &n)) return fail_damaged(x->path);
        memcpy(p, name, n);
        x->folders[i] = p;
        p += n + 1;
    }
out:
    return st;
}

/* The part behind the names: shards, folders, label counts, remarks. */
static bw_status parse_tail(bw_tar_index *x, const uint8_t *bytes, size_t n, const bw_shard_list *list)
{
    bw_status st = BW_OK;
    reader r = { bytes, bytes + n, false };
    const bw_tar_index_head *h = &x->head;
    /* Each needs some bytes in the tail, so none of these numbers can be absurd. */
    if (h->shards > n || h->folders > n || h->labels > n) return fail_damaged(x->path);
    if (h->shards != (uint64_t)list->n) return bw_fail(BW_EDATA, "%s: index of other shards", x->path);
    BW_TRY(parse_shards(x, &r, list));
    BW_TRY(parse_folders(x, &r));
    BW_TRY(BW_ALLOC(&x->label_images, h->labels));
    take(&r, x->label_images, (size_t)h->labels * sizeof *x->label_images);
    take_remark(&r, &x->bad_labels);
    take_remark(&r, &x->extra_images);
    if (r.short_of || r.p != r.end) st = fail_damaged(x->path);
out:
    return st;
}

static bw_status check_head(const bw_tar_index *x, uint64_t file_bytes)
{
    const bw_tar_index_head *h = &x->head;
    const uint64_t most = (uint64_t)INT64_MAX / 2;
    if (h->magic != BW_TAR_INDEX_MAGIC || h->version != BW_TAR_INDEX_VERSION ||
        h->record_bytes != sizeof(bw_tar_record) || h->file_bytes != file_bytes ||
        h->images > most / sizeof(bw_tar_record) ||
        h->names_at != sizeof *h + h->images * sizeof(bw_tar_record) || h->tail_at < h->names_at ||
        h->tail_at > file_bytes || file_bytes - h->tail_at < sizeof(uint64_t))
        return fail_damaged(x->path);
    return BW_OK;
}

/* The whole file is read once through: records are used later, one here and one there. */
static bw_status check_sum(const bw_tar_index *x)
{
    uint64_t want = 0, got;
    bw_status st = bw__checksum_part(&got, x->fd, x->head.file_bytes - sizeof want);
    if (st == BW_OK) st = bw__read_at(x->fd, (int64_t)(x->head.file_bytes - sizeof want), &want, sizeof want);
    return st == BW_OK && want != got ? fail_damaged(x->path) : st;
}

bw_status bw__tar_index_read(bw_tar_index *out, int fd, const char *path, const bw_shard_list *shards)
{
    bw_status st = BW_OK;
    struct stat info;
    uint8_t *tail = NULL;
    *out = (bw_tar_index){ .fd = fd };
    BW_TRY(bw__strdup(&out->path, path));
    if (fstat(fd, &info) != 0) BW_TRY(bw_fail(BW_EIO, "%s: %s", path, strerror(errno)));
    if (info.st_size < (off_t)sizeof out->head) BW_TRY(fail_damaged(path));
    BW_TRY(bw__read_at(fd, 0, &out->head, sizeof out->head));
    BW_TRY(check_head(out, (uint64_t)info.st_size));
    BW_TRY(check_sum(out));
    const size_t n = (size_t)(out->head.file_bytes - out->head.tail_at) - sizeof(uint64_t);
    BW_TRY(bw__alloc((void **)&tail, n + 1));
    BW_TRY(bw__read_at(fd, (int64_t)out->head.tail_at, tail, n));
    BW_TRY(parse_tail(out, tail, n, shards));
out:
    bw__free(tail);
    if (st != BW_OK) {
        bw__free(out->path); /* the descriptor stays the caller's */
        out->path = NULL;
        bw__tar_index_clear(out);
    }
    return st;
}

bw_status bw__tar_index_load(bw_tar_index *out, const char *path, const bw_shard_list *shards)
{
    *out = (bw_tar_index){ 0 };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return bw_fail(BW_EIO, "%s: cannot open: %s", path, strerror(errno));
    bw_status st = bw__tar_index_read(out, fd, path, shards);
    if (st != BW_OK) (void)close(fd);
    return st;
}

/* Numbers that would lead out of the shard, the names or the tables: never from a file that we wrote. */
static bool is_sound(const bw_tar_index *x, const bw_tar_record *r)
{
    const bw_tar_index_head *h = &x->head;
    const uint64_t name_at = r->name >> 16, name_bytes = r->name & 0xffff;
    return r->shard < h->shards && r->offset <= x->shards[r->shard].bytes &&
           r->bytes <= x->shards[r->shard].bytes - r->offset && name_at <= h->tail_at - h->names_at &&
           name_bytes <= h->tail_at - h->names_at - name_at && r->folder < h->folders && r->label >= -1 &&
           (r->label < 0 || (uint64_t)r->label < h->labels);
}

bw_status bw__tar_index_records(const bw_tar_index *x, bw_tar_record *to, int64_t first, int64_t n)
{
    const int64_t at = (int64_t)sizeof x->head + first * (int64_t)sizeof *to;
    bool sound = bw__read_at(x->fd, at, to, (size_t)n * sizeof *to) == BW_OK;
    for (int64_t i = 0; sound && i < n; i++)
        sound = is_sound(x, &to[i]);
    if (sound) return BW_OK;
    return bw_fail(BW_EDATA, "the index of the shards (%s) was damaged while in use; start again",
                   *x->path ? x->path : "a temporary file");
}

void bw__tar_index_name(const bw_tar_index *x, const bw_tar_record *r, char *name, size_t size)
{
    size_t n = (size_t)(r->name & 0xffff);
    if (size == 0) return;
    if (n > size - 1) n = size - 1;
    if (bw__read_at(x->fd, (int64_t)(x->head.names_at + (r->name >> 16)), name, n) != BW_OK)
        n = (size_t)snprintf(name, size, "?");
    name[n < size ? n : size - 1] = '\0';
}
