#include "data/sampler.h"
#include "base/memory.h"
#include "base/rng.h"

/* The order that picks a limited number of images; no epoch comes this far. */
#define LIMIT_ORDER UINT64_MAX

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The picked images in ascending order. */
static bw_status make_subset(bw_sampler *s)
{
    bw_status st = BW_OK;
    uint8_t *picked = NULL;
    BW_TRY(BW_ALLOC(&s->subset, s->used));
    BW_TRY(BW_ALLOC(&picked, s->size));
    for (int64_t i = 0; i < s->used; i++)
        picked[bw__permute(s->seed, LIMIT_ORDER, (uint64_t)i, (uint64_t)s->size)] = 1;
    for (int64_t i = 0, n = 0; i < s->size; i++)
        if (picked[i]) s->subset[n++] = i;
out:
    bw__free(picked);
    return st;
}

static bw_status check_config(const bw_loader_config *c, int64_t size)
{
    if (c->batch < 1 || c->image_size < 1 || c->threads < 1 || c->start_step < 0 || c->images < 0)
        return bw_fail(BW_EINVAL,
                       "loader: batch %lld, image size %lld and threads %d must be at least 1, "
                       "start step %lld and images %lld at least 0",
                       (long long)c->batch, (long long)c->image_size, c->threads, (long long)c->start_step,
                       (long long)c->images);
    if (c->first < 0 || c->count < 0 || c->first > c->batch || c->count > c->batch - c->first)
        return bw_fail(BW_EINVAL, "loader: slice of %lld images from %lld on reaches out of a batch of %lld",
                       (long long)c->count, (long long)c->first, (long long)c->batch);
    if (c->parts > 1 && (c->mode != BW_LOADER_VIEWS || c->batch % c->parts != 0 || c->count % c->parts != 0 ||
                         c->first + c->count / c->parts > c->batch / c->parts))
        return bw_fail(BW_EINVAL,
                       "loader: a slice of %lld images from %lld on is not in %lld parts of a batch of "
                       "%lld",
                       (long long)c->count, (long long)c->first, (long long)c->parts, (long long)c->batch);
    if (size < 1) return bw_fail(BW_EDATA, "the data set has no images");
    return BW_OK;
}

int64_t bw__sampler_place(const bw_sampler *sampler, int64_t i)
{
    const bw_sampler *s = sampler;
    if (s->parts == 1) return s->first + i;
    const int64_t run = s->count / s->parts;
    return i / run * (s->batch / s->parts) + s->first + i % run;
}

bw_status bw__sampler_init(bw_sampler *sampler, int64_t size, const bw_loader_config *config)
{
    const bw_loader_config *c = config;
    *sampler = (bw_sampler){ .mode = c->mode, .seed = c->seed, .size = size, .batch = c->batch };
    bw_status st = check_config(c, size);
    if (st != BW_OK) return st;
    sampler->used = c->images > 0 ? min_i64(c->images, size) : size;
    sampler->first = c->first;
    sampler->parts = c->parts > 1 ? c->parts : 1;
    sampler->count = c->count > 0 ? c->count : c->batch - c->first;
    if (c->mode == BW_LOADER_VIEWS) {
        if (c->batch > sampler->used)
            return bw_fail(BW_EINVAL,
                           "batch of %lld is larger than the data set of %lld images; "
                           "set a smaller train.batch or give more images",
                           (long long)c->batch, (long long)sampler->used);
        sampler->steps_per_epoch = sampler->used / c->batch;
    } else {
        sampler->steps_per_epoch = (sampler->used - 1) / c->batch + 1;
    }
    if (c->mode == BW_LOADER_CENTER && sampler->used < size) return make_subset(sampler);
    return BW_OK;
}

void bw__sampler_clear(bw_sampler *sampler)
{
    bw__free(sampler->subset);
    *sampler = (bw_sampler){ 0 };
}

int64_t bw__sampler_images_most(const bw_sampler *sampler)
{
    const int64_t n = min_i64(sampler->count, min_i64(sampler->batch, sampler->used) - sampler->first);
    return n > 0 ? n : 0;
}

int64_t bw__sampler_images(const bw_sampler *sampler, int64_t step)
{
    const int64_t start = step % sampler->steps_per_epoch * sampler->batch + sampler->first;
    const int64_t n = min_i64(sampler->count, sampler->used - start);
    return n > 0 ? n : 0;
}

int64_t bw__sampler_index(const bw_sampler *sampler, int64_t step, int64_t i, int64_t further)
{
    const bw_sampler *s = sampler;
    const int64_t epoch = step / s->steps_per_epoch;
    const int64_t place =
        (step % s->steps_per_epoch * s->batch + bw__sampler_place(s, i) + further) % s->used;
    if (s->mode == BW_LOADER_CENTER) return s->subset ? s->subset[place] : place;
    const uint64_t at = bw__permute(s->seed, (uint64_t)epoch, (uint64_t)place, (uint64_t)s->used);
    if (s->used == s->size) return (int64_t)at;
    return (int64_t)bw__permute(s->seed, LIMIT_ORDER, at, (uint64_t)s->size);
}
