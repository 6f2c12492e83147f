/* Settings from texts and assignments, for tests of the configuration. */
#ifndef BW_TESTS_CONFIG_TEXTS_H
#define BW_TESTS_CONFIG_TEXTS_H
#include "check.h"
#include "blockwise/config.h"
#include "formats/config_schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bw_status load_text(bw_config *config, const char *yaml)
{
    return bw_config_load(config, yaml, strlen(yaml), "my.yaml");
}

static inline void assert_message_has(const char *want)
{
    if (!strstr(bw_last_error(), want)) fail_msg("got '%s', want in it '%s'", bw_last_error(), want);
}

/* The default with the assignments given, not resolved. */
static inline bw_config assigned(const char *const *assignments, int n)
{
    bw_config c = bw_config_default();
    for (int i = 0; i < n; i++)
        CHECK_OK(bw_config_set(&c, assignments[i]));
    return c;
}

static inline bw_config resolved(const char *const *assignments, int n)
{
    bw_config c = assigned(assignments, n);
    CHECK_OK(bw_config_resolve(&c));
    return c;
}
#define WITH(function, ...)                                                                                  \
    function((const char *const[]){ __VA_ARGS__ },                                                           \
             (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)))
#define ASSIGNED(...) WITH(assigned, __VA_ARGS__)
#define RESOLVED(...) WITH(resolved, __VA_ARGS__)

/* Resolving fails with `why` and changes nothing. */
static inline void assert_refused(const bw_config *config, const char *why)
{
    bw_config c, before;
    memcpy(&c, config, sizeof c);
    memcpy(&before, config, sizeof before);
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    assert_message_has(why);
    assert_memory_equal(&c, &before, sizeof c);
}
#endif
