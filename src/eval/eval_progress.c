#include "eval/eval_progress.h"
#include "base/error.h"

bw_status bw__progress(const bw_progress *progress, double done)
{
    if (!progress || !progress->fn) return BW_OK;
    double share = progress->share > 0 ? progress->share : 1.0;
    if (progress->fn(progress->user, progress->what, progress->first + share * done) == 0) return BW_OK;
    return bw_fail(BW_EINTERRUPTED, "%s: stopped on request", progress->what);
}
