#include "model/portable_config.h"

bw_status bw__config_portable_yaml(char **out, const bw_config *config)
{
    bw_config copy = *config, standard = bw_config_default();
    copy.threads = standard.threads;
    copy.data.threads = standard.data.threads;
    copy.checkpoint = standard.checkpoint;
    copy.parallel = standard.parallel;
    copy.events = standard.events;
    return bw_config_to_yaml(out, &copy);
}
