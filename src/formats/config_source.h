/* Where a text of settings comes from, and what it may begin with ("extends: NAME"). */
#ifndef BW_FORMATS_CONFIG_SOURCE_H
#define BW_FORMATS_CONFIG_SOURCE_H
#include "base/error.h"
#include "blockwise/config.h"

enum { BW_PATH_ROOM = 4096 };

typedef struct bw_config_source {
    const char *origin;                   /* its name in messages */
    const char *path;                     /* its file, or NULL */
    bool has_lines;                       /* false for --set, whose text is all on one line */
    const struct bw_config_source *child; /* the text that begins with this one, or NULL */
} bw_config_source;

/* Overlays `yaml`, the value of `key` ("" for the top of a file). `config` is unchanged after a failure. */
BW_MUST_CHECK
bw_status bw__config_load_text(bw_config *config, const bw_config_source *source, const char *key,
                               const char *yaml, size_t length);
/* Overlays the file source->path. */
BW_MUST_CHECK
bw_status bw__config_load_source(bw_config *config, const bw_config_source *source);
/* Overlays what `source` names after "extends:": a recipe, or a file beside it. BW_EINVAL: there is none, or
 * it leads back to itself. */
BW_MUST_CHECK
bw_status bw__config_extend(bw_config *config, const char *name, const bw_config_source *source);

bool bw__recipe_find(char path[BW_PATH_ROOM], const char *name);
/* Fails with the names there are. */
BW_MUST_CHECK
bw_status bw__recipe_unknown(const char *name);
#endif
