/* Which type of activations a run computes with. */
#include "blockwise/trainer.h"
#include "nn/exec.h"

bw_status bw_compute_settle(bw_config *config)
{
    bw_bf16 have = bw__exec_bf16();
    if (config->dtype == BW_DTYPE_AUTO) config->dtype = have == BW_BF16_NATIVE ? BW_DTYPE_BF16 : BW_DTYPE_F32;
    if (config->dtype == BW_DTYPE_BF16 && have == BW_BF16_NONE)
        return bw_fail(
            BW_EINVAL,
            "dtype: bf16 needs a processor with AVX-512, and oneDNN %s uses %s here; set dtype f32 "
            "or auto",
            bw__exec_library(), bw__exec_isa());
    return BW_OK;
}
