#include "data/bad_images.h"
#include "data/dataset_internal.h"

#define TOLD 5 /* images that are named in the log */

bw_status bw__bad_images_check_loss(const bw_dataset *dataset, double share)
{
    if (!(dataset->lost > share)) return BW_OK;
    char problem[700] = "";
    (void)bw_dataset_problem(dataset, 0, problem, sizeof problem);
    return bw_fail(BW_EDATA,
                   "%s; about %.3g %% of the data is lost by such damage, more than data.max_bad %g allows; "
                   "repair it, or raise data.max_bad to go on without (blockwise data check lists all)",
                   problem, 100.0 * dataset->lost, share);
}

bw_status bw__bad_images_init(bw_bad_images *bad, const bw_dataset *dataset, int64_t used, double share)
{
    *bad = (bw_bad_images){ .dataset = dataset, .used = used, .share = share };
    /* A little above, so that 0.29 of 100 is 29. */
    const double limit = share * (double)used + 1e-6;
    bad->limit = limit > 0 && limit < (double)used ? (int64_t)limit : limit > 0 ? used : 0;
    if (bad->limit >= used) bad->limit = used - 1;
    return bw__bad_images_check_loss(dataset, share);
}

void bw__bad_images_clear(bw_bad_images *bad)
{
    bw__free(bad->seen);
    *bad = (bw_bad_images){ 0 };
}

/* The place of an image in the table, or the free one where it belongs. */
static int64_t *place_of(int64_t *seen, int64_t room, int64_t index)
{
    const uint64_t mask = (uint64_t)room - 1;
    uint64_t at = ((uint64_t)index * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    while (seen[at & mask] != 0 && seen[at & mask] != index + 1)
        at++;
    return &seen[at & mask];
}

/* Makes room for one more. */
static bw_status grow(bw_bad_images *bad)
{
    int64_t *more, room = bad->room ? 2 * bad->room : 64;
    if (2 * (bad->count + 1) <= bad->room) return BW_OK;
    bw_status st = BW_ALLOC(&more, room);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < bad->room; i++)
        if (bad->seen[i] != 0) *place_of(more, room, bad->seen[i] - 1) = bad->seen[i];
    bw__free(bad->seen);
    bad->seen = more;
    bad->room = room;
    return BW_OK;
}

bool bw__bad_images_has(const bw_bad_images *bad, int64_t index)
{
    return bad->room > 0 && *place_of(bad->seen, bad->room, index) != 0;
}

bw_status bw__bad_images_add(bw_bad_images *bad, int64_t index, const char *reason)
{
    char name[512];
    bw_status st = grow(bad);
    if (st != BW_OK) return st;
    int64_t *place = place_of(bad->seen, bad->room, index);
    if (*place != 0) return BW_OK;
    *place = index + 1;
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
