/* The index of a list of shards: which images lie where, so that each is read in place. It is a file that is
 * made once (tar_index_build.c) and read a record at a time: nothing in memory grows with the number of
 * images.
 *
 * The file, in the byte order of the machine that made it (another's is made anew). Offsets are from its
 * start:
 *
 *   bw_tar_index_head
 *   bw_tar_record [images]         in the order of the shards and of the entries in them
 *   names                          of the images, one after the other, without ends
 *   tail                           shards, folders, numbers of images of each label, remarks; see
 * parse_tail() uint64                         XXH3 of all before it
 *
 * docs/data.md says where it lies and when it is made anew. */
#ifndef BW_DATA_TAR_INDEX_H
#define BW_DATA_TAR_INDEX_H
#include "data/shard_list.h"
#include "data/tar_scan.h"

#define BW_TAR_INDEX_MAGIC   UINT64_C(0x31584449524154) /* "TARIDX1" and a zero */
#define BW_TAR_INDEX_VERSION 1
/* Labels of .cls files are below this, as those of lists are. */
#define BW_TAR_MAX_LABEL 999999
/* Archives with more folders than this are not sorted by class. */
#define BW_TAR_MAX_FOLDERS 100000

typedef struct bw_tar_index_head {
    uint64_t magic;
    uint32_t version, record_bytes;
    uint64_t images;
    uint64_t names_at, tail_at, file_bytes;
    uint64_t shards, folders;
    uint64_t labels; /* highest number in a .cls file, plus 1; 0: there is no .cls file */
    uint64_t spare[6];
} bw_tar_index_head;

typedef struct bw_tar_record {
    uint64_t offset; /* of the image's bytes in its shard */
    uint64_t name;   /* offset of its name in the names, times 65536, plus the name's length */
    uint32_t bytes;
    uint32_t shard;
    uint32_t folder; /* number of the folder part of its name */
    int32_t label;   /* what its .cls file says, or -1 */
} bw_tar_record;

typedef struct bw_tar_shard_state {
    uint64_t bytes;
    int64_t mtime_s, mtime_ns;
    uint64_t images;
    uint64_t damage_at;
    uint32_t damage; /* bw_tar_damage */
    uint32_t spare;
} bw_tar_shard_state;

/* Something that is odd in many entries: how often, and one of them. */
typedef struct bw_tar_remark {
    uint64_t count;
    char first[256];
} bw_tar_remark;

typedef struct bw_tar_index {
    int fd;
    char *path; /* "" for a temporary file */
    bw_tar_index_head head;
    bw_tar_shard_state *shards; /* [shards] */
    char **folders;             /* [folders] names, "" for entries in none */
    char *folder_pool;
    uint64_t *folder_images;    /* [folders] */
    uint64_t *label_images;     /* [labels] */
    bw_tar_remark bad_labels;   /* .cls files that hold no number */
    bw_tar_remark extra_images; /* images that are not the first of their sample */
} bw_tar_index;

void bw__tar_index_clear(bw_tar_index *index);

/* Finds the index of the shards, or makes it. BW_EIO: no place for it, or a shard cannot be read; BW_ENOMEM.
 */
BW_MUST_CHECK
bw_status bw__tar_index_open(bw_tar_index *out, const bw_shard_list *shards);

/* Opens a file that is this list's index. BW_EDATA: it is another's, or damaged; BW_EIO. */
BW_MUST_CHECK
bw_status bw__tar_index_load(bw_tar_index *out, const char *path, const bw_shard_list *shards);

/* Makes the index of the shards in the open, empty file `fd`, of which `path` is the name in messages;
 * `names_fd` is another such file, which is of no use afterwards. BW_EIO: no room, or a shard cannot be
 * opened. */
BW_MUST_CHECK
bw_status bw__tar_index_build(int fd, int names_fd, const char *path, const bw_shard_list *shards);

/* Takes over `fd` when it succeeds; what bw__tar_index_load() does with an open file. */
BW_MUST_CHECK
bw_status bw__tar_index_read(bw_tar_index *out, int fd, const char *path, const bw_shard_list *shards);

/* `n` records from `first` on. BW_EDATA where the file has been damaged meanwhile. */
BW_MUST_CHECK
bw_status bw__tar_index_records(const bw_tar_index *index, bw_tar_record *to, int64_t first, int64_t n);
/* The image's name, cut to `size`; "?" where it cannot be read. */
void bw__tar_index_name(const bw_tar_index *index, const bw_tar_record *record, char *name, size_t size);
#endif
