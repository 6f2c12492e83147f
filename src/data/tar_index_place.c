/* Where the index of a list of shards lies: beside them, else in the user's cache, else in a temporary file
 * that only this process sees. A new one is written under a name of its own, made durable and renamed, so
 * that a reader finds a whole index or none, and processes that make it at once do not disturb each other. */
#define _DEFAULT_SOURCE /* realpath() */
#include "base/clock.h"
#include "base/folder.h"
#include "data/tar_index.h"
#include "formats/checksum.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The key of a list: its shards' names, or their whole paths where the index does not lie beside them. */
static uint64_t list_key(const bw_shard_list *list, bool whole)
{
    uint64_t key = 0;
    for (int64_t i = 0; i < list->n; i++) {
        const char *name = bw__shard_name(list, i);
        char *absolute = whole ? realpath(list->at[i].path, NULL) : NULL;
        if (absolute) name = absolute;
        const uint64_t link[2] = { key, bw__checksum(name, strlen(name)) };
        free(absolute);
        key = bw__checksum(link, sizeof link);
    }
    return key;
}

static bw_status place_beside(char **out, const bw_shard_list *list)
{
    char name[64];
    (void)snprintf(name, sizeof name, ".blockwise-%016llx.index", (unsigned long long)list_key(list, false));
    return bw__path_join(out, list->folder, name);
}

/* *out is NULL where the user has no cache folder. */
static bw_status place_in_cache(char **out, const bw_shard_list *list)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool own = cache && *cache == '/'; /* the XDG specification: others are ignored */
    char name[64];
    *out = NULL;
    if (!own && !(home && *home)) return BW_OK;
    (void)snprintf(name, sizeof name, "%sblockwise/%016llx.index", own ? "" : ".cache/",
                   (unsigned long long)list_key(list, true));
    return bw__path_join(out, own ? cache : home, name);
}

/* A new file for reading and writing beside `path`; -1 with errno where that cannot be. The time is in its
 * name, since two machines that share a folder may have processes of one number. */
static int open_aside(char **name, const char *path)
{
    enum { TRIES = 100, ROOM = 96 };
    const size_t room = strlen(path) + ROOM;
    bw__free(*name);
    if (bw__alloc((void **)name, room) != BW_OK) {
        errno = ENOMEM;
        return -1;
    }
    for (int i = 0; i < TRIES; i++) {
        (void)snprintf(*name, room, "%s.tmp-%ld-%llx-%d", path, (long)getpid(),
                       (unsigned long long)(bw__now_s() * 1e6), i);
        const int fd = open(*name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Removes the name at once: the file goes with its descriptor. */
static int open_unnamed(const char *path)
{
    char *name = NULL;
    const int fd = open_aside(&name, path);
    if (fd >= 0) (void)unlink(name);
    bw__free(name);
    return fd;
}

static bw_status cannot_write(const char *path)
{
    return bw_fail(BW_EIO, "%s: cannot write the index of the shards: %s", path, strerror(errno));
}

static bw_status make_folder_of(const char *path)
{
    char *folder = NULL;
    bw_status st = bw__path_folder(&folder, path);
    if (st == BW_OK && *folder) st = bw__folder_make(folder);
    bw__free(folder);
    return st;
}

/* The rename itself is to survive a power cut; where it does not, the index is made once more. */
static void sync_folder_of(const char *path)
{
    char *folder = NULL;
    if (bw__path_folder(&folder, path) == BW_OK) {
        const int fd = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd);
            (void)close(fd);
        }
    }
    bw__free(folder);
}

/* Makes the index at `path`, or unnamed beside it, and opens it. */
static bw_status make_at(bw_tar_index *out, const char *path, bool named, const bw_shard_list *shards)
{
    bw_status st = BW_OK;
    char *aside = NULL;
    bool there = false;
    int fd = -1, names = -1;
    fd = named ? open_aside(&aside, path) : open_unnamed(path);
    if (fd < 0) BW_TRY(cannot_write(path));
    there = named;
    names = open_unnamed(path);
    if (names < 0) BW_TRY(cannot_write(path));
    BW_TRY(bw__tar_index_build(fd, names, path, shards));
    if (named) {
        if (fsync(fd) != 0 || rename(aside, path) != 0) BW_TRY(cannot_write(path));
        there = false;
        sync_folder_of(path);
    }
    BW_TRY(bw__tar_index_read(out, fd, named ? path : "", shards));
    fd = -1;
out:
    if (there) (void)unlink(aside);
    if (fd >= 0) (void)close(fd);
    if (names >= 0) (void)close(names);
    bw__free(aside);
    return st;
}

static bw_status make_unnamed(bw_tar_index *out, const bw_shard_list *shards)
{
    const char *folder = getenv("TMPDIR");
    char *path = NULL;
    bw_status st = bw__path_join(&path, folder && *folder ? folder : "/tmp", "blockwise.index");
    if (st == BW_OK) st = make_at(out, path, false, shards);
    bw__free(path);
    return st;
}

static bw_status make(bw_tar_index *out, const bw_shard_list *shards, const char *const places[2])
{
    bw_status st = BW_EIO;
    const double start = bw__now_s();
    if (shards->n > 1)
        bw_log(BW_LOG_INFO, "looking through %lld shards once, to find the images in them",
               (long long)shards->n);
    for (int i = 0; i < 2 && st == BW_EIO; i++) {
        if (!places[i]) continue;
        if (i == 1 && make_folder_of(places[i]) != BW_OK) continue;
        st = make_at(out, places[i], true, shards);
    }
    if (st == BW_EIO) st = make_unnamed(out, shards);
    if (st == BW_OK)
        bw_log(BW_LOG_INFO, "index of %lld images in %lld shards made in %.1f s: %s",
               (long long)out->head.images, (long long)shards->n, bw__now_s() - start,
               *out->path ? out->path : "temporary; neither the shards' folder nor the cache can be written");
    return st;
}

bw_status bw__tar_index_open(bw_tar_index *out, const bw_shard_list *shards)
{
    bw_status st = BW_OK;
    char *beside = NULL, *cache = NULL;
    bool found = false;
    *out = (bw_tar_index){ 0 };
    BW_TRY(place_beside(&beside, shards));
    BW_TRY(place_in_cache(&cache, shards));
    const char *const places[2] = { beside, cache };
    for (int i = 0; i < 2 && !found; i++) {
        if (!places[i] || !bw__path_is_file(places[i])) continue;
        st = bw__tar_index_load(out, places[i], shards);
        if (st == BW_ENOMEM) goto out;
        found = st == BW_OK;
        if (!found) bw_log(BW_LOG_INFO, "%s; the index is made anew", bw_last_error());
    }
    if (!found) st = make(out, shards, places);
out:
    bw__free(cache);
    bw__free(beside);
    return st;
}
