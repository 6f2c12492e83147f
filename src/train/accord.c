#include "train/accord.h"
#include "base/error.h"
#include "blockwise/trainer.h"
#include "formats/checksum.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- settings --- */

typedef struct program {
    char version[32], git[64];
    uint64_t config_bytes;
} program;

static bw_status check_program(bw_comm *comm)
{
    program own = { .config_bytes = sizeof(bw_config) }, first;
    (void)snprintf(own.version, sizeof own.version, "%s", bw_version());
    (void)snprintf(own.git, sizeof own.git, "%s", BW_GIT);
    first = own;
    bw_status st = bw__comm_broadcast(comm, &first, sizeof first, 0);
    if (st != BW_OK) return st;
    bool same = strcmp(own.version, first.version) == 0 && strcmp(own.git, first.git) == 0 &&
                own.config_bytes == first.config_bytes;
    if (!same)
        st = bw_fail(BW_EINVAL,
                     "this rank runs blockwise %s (%s), and rank 0 %s (%s); install the same on every host",
                     own.version, own.git, first.version, first.git);
    return bw__comm_agree(comm, st);
}

bw_status bw__accord_config(bw_config *config, bw_comm *comm)
{
    bw_status st = BW_OK;
    if (bw_comm_size(comm) == 1) return BW_OK;
    BW_TRY(check_program(comm));
    BW_TRY(bw__comm_broadcast(comm, config, sizeof *config, 0));
    if (bw_comm_rank(comm) == 0) goto out;
    if (!bw_config_is_set(config, "threads")) config->threads = 0;
    if (!bw_config_is_set(config, "data.threads")) config->data.threads = 0;
out:
    return st;
}

bw_status bw__accord_type(bw_config *config, bw_comm *comm)
{
    bw_config own = *config;
    bw_status st = bw_compute_settle(&own);
    int64_t without_bf16 = own.dtype != BW_DTYPE_BF16;
    if (bw_comm_size(comm) > 1) st = bw__comm_agree_on(comm, st, &without_bf16, 1);
    if (st == BW_OK) config->dtype = without_bf16 ? BW_DTYPE_F32 : BW_DTYPE_BF16;
    return st;
}

/* --- images --- */

typedef struct images {
    int64_t size, classes;
    uint64_t names;
} images;

/* A checksum over names spread over the whole set. */
static uint64_t sum_names(const bw_dataset *dataset)
{
    enum { NAMES = 256, NAME_BYTES = 512 };
    int64_t size = bw_dataset_size(dataset), n = size < NAMES ? size : NAMES;
    uint64_t sums[NAMES];
    char name[NAME_BYTES];
    for (int64_t i = 0; i < n; i++) {
        bw_dataset_name(dataset, n > 1 ? i * (size - 1) / (n - 1) : 0, name, sizeof name);
        sums[i] = bw__checksum(name, strlen(name));
    }
    return bw__checksum(sums, (size_t)n * sizeof sums[0]);
}

static bw_status compare_images(const images *own, const images *first, const char *path)
{
    if (own->size != first->size)
        return bw_fail(BW_EDATA,
                       "%s: %" PRId64 " images here, %" PRId64
                       " on rank 0; every host needs the same data, by a copy or a shared file system",
                       path, own->size, first->size);
    if (own->classes != first->classes)
        return bw_fail(BW_EDATA,
                       "%s: %" PRId64 " classes here, %" PRId64 " on rank 0; every host needs the "
                       "same data",
                       path, own->classes, first->classes);
    if (own->names != first->names)
        return bw_fail(BW_EDATA,
                       "%s: as many images as on rank 0, but of other names; every host needs the same data",
                       path);
    return BW_OK;
}

bw_status bw__accord_data(const bw_dataset *dataset, const char *path, bw_comm *comm)
{
    if (bw_comm_size(comm) == 1) return BW_OK;
    images own = { .size = bw_dataset_size(dataset),
                   .classes = bw_dataset_classes(dataset),
                   .names = sum_names(dataset) },
           first = own;
    bw_status st = bw__comm_broadcast(comm, &first, sizeof first, 0);
    if (st != BW_OK) return st;
    return bw__comm_agree(comm, compare_images(&own, &first, path));
}
