/* Feeds bytes to the walk through tar archives, to the making of an index of one, and to the reader of
 * indices. The first byte chooses: an archive, an index, or an index whose checksum is made right. */
#include "fuzz.h"
#include "base/memory.h"
#include "data/tar_index.h"
#include "formats/checksum.h"
#include <string.h>
#include <stdio.h>
#include <unistd.h>

/* The shard that an index is read for. */
static const bw_shard SHARD = { .path = (char *)(uintptr_t) "fuzz.tar", .bytes = 4096, .mtime_s = 7 };
static const bw_shard_list SHARDS = { .at = (bw_shard *)(uintptr_t)&SHARD,
                                      .n = 1,
                                      .folder = (char *)(uintptr_t) "" };

/* Reads an index and all its records; takes over `fd`. */
static void use_index(int fd)
{
    bw_tar_index x;
    bw_tar_record record;
    char name[300];
    if (bw__tar_index_read(&x, fd, "fuzz", &SHARDS) != BW_OK) {
        (void)close(fd);
        return;
    }
    for (uint64_t i = 0; i < x.head.images; i++)
        if (bw__tar_index_records(&x, &record, (int64_t)i, 1) == BW_OK)
            bw__tar_index_name(&x, &record, name, sizeof name);
    bw__tar_index_clear(&x);
}

static int64_t seen, limit; /* of the archive that is walked through */

static bw_status look(void *user, const bw_tar_entry *e)
{
    (void)user;
    seen += (int64_t)strlen(e->name);
    if (e->offset < 0 || e->size < 0 || e->offset > limit || e->size > limit - e->offset) __builtin_trap();
    return BW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bw_tar_end end;
    if (size < 1) return 0;
    FILE *f = tmpfile();
    if (!f) return 0;
    (void)fwrite(data + 1, 1, size - 1, f);
    if (data[0] % 3 == 2 && size > 9) {
        const uint64_t sum = bw__checksum(data + 1, size - 9);
        (void)fseek(f, (long)size - 9, SEEK_SET);
        (void)fwrite(&sum, sizeof sum, 1, f);
    }
    if (fflush(f) != 0) __builtin_trap();
    if (data[0] % 3 == 0) {
        limit = (int64_t)size - 1;
        if (bw__tar_scan(&end, fileno(f), limit, look, NULL) == BW_OK &&
            (end.offset < 0 || end.offset > limit))
            __builtin_trap();
    } else {
        use_index(dup(fileno(f)));
    }
    (void)fclose(f);
    return 0;
}
