/* libarchive tells where a header begins (archive_read_header_position) but not where the data does. For an
 * archive without a filter it is the number of bytes taken so far, archive_filter_bytes(a, 0), asked right
 * after the header: libarchive has then read the whole header, with its extensions, and none of the data. The
 * tests check this against the bytes of archives with GNU's and pax's long names. */
#include "data/tar_scan.h"
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, READ_BYTES = 10240 };

const char *bw__tar_damage_text(bw_tar_damage damage)
{
    static const char *const TEXTS[] = { "whole", "not a tar archive", "damaged header",
                                         "the file ends inside of an entry",
                                         "the file ends without the mark of its end" };
    return TEXTS[damage];
}

/* Where the next header is expected behind an entry; the end of the file at most. */
static int64_t next_header(const bw_tar_entry *e, int64_t bytes)
{
    const int64_t at = e->offset + (e->size + BLOCK - 1) / BLOCK * BLOCK;
    return at < bytes ? at : bytes; /* padding may be cut off */
}

/* pax names are UTF-8, which the C locale cannot have as they are. */
static const char *entry_name(struct archive_entry *e)
{
    const char *name = archive_entry_pathname(e);
    if (!name) name = archive_entry_pathname_utf8(e);
    while (name && name[0] == '.' && name[1] == '/')
        for (name += 2; *name == '/';)
            name++;
    return name;
}

/* One entry; false where the walk ends. */
static bool take_entry(bw_tar_end *end, bw_tar_entry *entry, bool *usable, struct archive *a, int64_t bytes,
                       int64_t expected)
{
    struct archive_entry *e;
    const int code = archive_read_next_header(a, &e);
    if (code == ARCHIVE_EOF) {
        const bool marked = bytes - expected >= BLOCK;
        *end = marked ? (bw_tar_end){ BW_TAR_WHOLE, 0 } : (bw_tar_end){ BW_TAR_NO_END, bytes };
        return false;
    }
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
        *end = (bw_tar_end){ bytes - expected < BLOCK ? BW_TAR_TRUNCATED : BW_TAR_HEADER, expected };
        return false;
    }
    *entry = (bw_tar_entry){ entry_name(e), archive_filter_bytes(a, 0), archive_entry_size(e) };
    if (archive_entry_hardlink(e) || archive_entry_filetype(e) != AE_IFREG) entry->size = 0;
    if (entry->size < 0 || entry->offset < expected || entry->offset > bytes ||
        entry->size > bytes - entry->offset) {
        const bool cut = entry->size >= 0 && entry->offset >= expected;
        *end = (bw_tar_end){ cut ? BW_TAR_TRUNCATED : BW_TAR_HEADER, expected };
        return false;
    }
    *usable = entry->name && archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e) &&
              archive_entry_sparse_count(e) == 0;
    return true;
}

bw_status bw__tar_scan(bw_tar_end *end, int fd, int64_t bytes,
                       bw_status (*visit)(void *user, const bw_tar_entry *entry), void *user)
{
    bw_status st = BW_OK;
    bw_tar_entry entry;
    bool usable;
    int64_t expected = 0;
    struct archive *a = archive_read_new();
    *end = (bw_tar_end){ BW_TAR_NOT_TAR, 0 };
    if (!a) return bw_fail(BW_ENOMEM, "out of memory: reader of tar archives");
    (void)archive_read_support_format_tar(a);
    if (lseek(fd, 0, SEEK_SET) == 0 && archive_read_open_fd(a, fd, READ_BYTES) == ARCHIVE_OK)
        while (take_entry(end, &entry, &usable, a, bytes, expected)) {
            expected = next_header(&entry, bytes);
            if (usable) BW_TRY(visit(user, &entry));
        }
out:
    (void)archive_read_free(a);
    return st;
}
