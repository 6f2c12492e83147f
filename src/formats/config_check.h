/* What bw_config_resolve() refuses, each with the reason and what to do. */
#ifndef BW_FORMATS_CONFIG_CHECK_H
#define BW_FORMATS_CONFIG_CHECK_H
#include "base/error.h"
#include "blockwise/config.h"

/* Every value lies in the range of its key. */
BW_MUST_CHECK
bw_status bw__config_check_values(const bw_config *config);
/* Settings of single blocks, train.blocks and train.init_blocks name blocks that there are. */
BW_MUST_CHECK
bw_status bw__config_check_blocks(const bw_config *config);
/* The values agree with each other; `config` is complete. */
BW_MUST_CHECK
bw_status bw__config_check_sense(const bw_config *config);

/* One line of text for each setting that a file gave and that nothing in the run uses; false past the last.
 */
bool bw__config_unused_at(char *out, size_t size, const bw_config *config, int index);

/* What key number `index` counts with, "loss.name simclr or vicreg"; "" where that is everything. */
void bw__config_used_with(char *out, size_t size, int index);

/* Log lines at the start of a run: the defaults that follow from other settings, what single blocks have of
 * their own, and what has no effect. `config` is resolved. */
void bw__config_say(const bw_config *config);
#endif
