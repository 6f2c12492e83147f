#include "data/shard_files.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct open_shard {
    int64_t shard;
    int fd, readers;
    uint64_t used; /* number of the last use */
} open_shard;

struct bw_shard_files {
    const bw_shard_list *list;
    pthread_mutex_t lock;
    uint64_t uses;
    int n;
    open_shard open[BW_OPEN_SHARDS]; /* [n] */
};

bw_status bw__shard_files_create(bw_shard_files **out, const bw_shard_list *list)
{
    bw_status st = BW_ALLOC(out, 1);
    if (st != BW_OK) return st;
    (*out)->list = list;
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    return BW_OK;
}

void bw__shard_files_free(bw_shard_files *files)
{
    if (!files) return;
    for (int i = 0; i < files->n; i++)
        (void)close(files->open[i].fd);
    (void)pthread_mutex_destroy(&files->lock);
    bw__free(files);
}

int bw__shard_files_open_count(bw_shard_files *files)
{
    pthread_mutex_lock(&files->lock);
    const int n = files->n;
    pthread_mutex_unlock(&files->lock);
    return n;
}

bw_status bw__read_at(int fd, int64_t offset, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = pread(fd, (char *)to + done, bytes - done, offset + (int64_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return bw_fail(BW_EIO, "cannot read: %s", strerror(errno));
        if (n == 0) return bw_fail(BW_EIO, "ends at byte %lld", (long long)offset + (long long)done);
        done += (size_t)n;
    }
    return BW_OK;
}

/* Opens a shard and makes sure that it is still the one that was listed. */
static bw_status open_listed(int *fd, const bw_shard *shard)
{
    struct stat info;
    *fd = open(shard->path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return bw_fail(BW_EDATA, "%s: cannot open: %s", shard->path, strerror(errno));
    if (fstat(*fd, &info) == 0 && info.st_size == shard->bytes && info.st_mtim.tv_sec == shard->mtime_s &&
        info.st_mtim.tv_nsec == shard->mtime_ns)
        return BW_OK;
    (void)close(*fd);
    *fd = -1;
    return bw_fail(BW_EDATA, "%s: the shard has changed since this program started; start again",
                   shard->path);
}

/* With the lock held: the place of an open shard, or NULL. */
static open_shard *find(bw_shard_files *files, int64_t shard)
{
    for (int i = 0; i < files->n; i++)
        if (files->open[i].shard == shard) return &files->open[i];
    return NULL;
}

/* With the lock held: a place for one more, NULL where all are being read from. */
static open_shard *make_place(bw_shard_files *files)
{
    open_shard *oldest = NULL;
    if (files->n < BW_OPEN_SHARDS) return &files->open[files->n++];
    for (int i = 0; i < files->n; i++) {
        open_shard *o = &files->open[i];
        if (o->readers == 0 && (!oldest || o->used < oldest->used)) oldest = o;
    }
    if (oldest) (void)close(oldest->fd);
    return oldest;
}

/* A descriptor of the shard; *own is NULL where it is the caller's to close. */
static bw_status acquire(bw_shard_files *files, int64_t shard, int *fd, open_shard **own)
{
    bw_status st = BW_OK;
    pthread_mutex_lock(&files->lock);
    open_shard *o = find(files, shard);
    if (!o) {
        pthread_mutex_unlock(&files->lock);
        st = open_listed(fd, &files->list->at[shard]); /* may take long on a network: not under the lock */
        if (st != BW_OK) return st;
        pthread_mutex_lock(&files->lock);
        o = find(files, shard);
        if (o)
            (void)close(*fd); /* another thread was faster */
        else if ((o = make_place(files)))
            *o = (open_shard){ .shard = shard, .fd = *fd };
    }
    if (o) {
        o->readers++;
        o->used = ++files->uses;
        *fd = o->fd;
    }
    *own = o;
    pthread_mutex_unlock(&files->lock);
    return BW_OK;
}

bw_status bw__shard_files_read(bw_shard_files *files, int64_t shard, int64_t offset, void *to, size_t bytes)
{
    open_shard *own;
    int fd;
    bw_status st = acquire(files, shard, &fd, &own);
    if (st != BW_OK) return st;
    st = bw__read_at(fd, offset, to, bytes);
    if (!own) {
        (void)close(fd);
    } else {
        pthread_mutex_lock(&files->lock);
        own->readers--;
        pthread_mutex_unlock(&files->lock);
    }
    if (st != BW_OK) {
        (void)bw_fail_prefix(st, "%s", files->list->at[shard].path);
        return BW_EDATA;
    }
    return BW_OK;
}
