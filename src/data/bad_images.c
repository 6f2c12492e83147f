#include "data/bad_images.h"

#define TOLD 5 /* images that are named in the log */

bw_status bw__bad_images_init(bw_bad_images *bad, const bw_dataset *dataset, int64_t used, double share)
{
    *bad = (bw_bad_images){ .dataset = dataset, .used = used, .share = share };
    /* A little above, so that 0.29 of 100 is 29. */
    const double limit = share * (double)used + 1e-6;
    bad->limit = limit > 0 && limit < (double)used ? (int64_t)limit : limit > 0 ? used : 0;
    if (bad->limit >= used) bad->limit = used - 1;
    return BW_ALLOC(&bad->seen, bw_dataset_size(dataset));
}

void bw__bad_images_clear(bw_bad_images *bad)
{
    bw__free(bad->seen);
    *bad = (bw_bad_images){ 0 };
}

bw_status bw__bad_images_add(bw_bad_images *bad, int64_t index, const char *reason)
{
    char name[512];
    if (bad->seen[index]) return BW_OK;
    bad->seen[index] = 1;
    bad->count++;
    bw_dataset_name(bad->dataset, index, name, sizeof name);
    if (bad->count > bad->limit) {
        if (bad->count >= bad->used)
            return bw_fail(BW_EDATA, "none of the %lld images can be read; the last one: %s: %s",
                           (long long)bad->used, name, reason);
        return bw_fail(BW_EDATA,
                       "%lld of %lld images cannot be read, more than data.max_bad %g allows; the last one: "
                       "%s: %s; repair or remove them (blockwise data check lists them all), or raise "
                       "data.max_bad",
                       (long long)bad->count, (long long)bad->used, bad->share, name, reason);
    }
    if (bad->count <= TOLD)
        bw_log(BW_LOG_WARN, "%s: %s; %lld of %lld skipped", name, reason, (long long)bad->count,
               (long long)bad->used);
    if (bad->count == TOLD) bw_log(BW_LOG_WARN, "further unreadable images are counted, not named");
    return BW_OK;
}
