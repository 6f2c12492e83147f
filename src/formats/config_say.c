/* What the log says about settings at the start of a run. */
#include "formats/config_check.h"
#include "formats/config_schema.h"
#include <stdio.h>
#include <string.h>

enum { LINE = 1024 };

static void add(char line[LINE], const bw_config *config, const bw_key *key, const char *why)
{
    char value[BW_KEY_TEXT];
    size_t used = strlen(line);
    bw__key_format(value, config, key);
    int n = snprintf(line + used, LINE - used, "%s%s %s%s", used > 0 ? ", " : "", key->name, value, why);
    if (n < 0 || (size_t)n >= LINE - used) line[used] = '\0'; /* no room: left out as a whole */
}

/* Unless it was given. */
static void add_default(char line[LINE], const bw_config *c, const char *key, const char *why)
{
    if (!bw_config_is_set(c, key)) add(line, c, bw__key(bw__key_find(key)), why);
}

/* Values worked out from others; the learning rate has a line of its own with its source. */
static void say_defaults(const bw_config *c)
{
    char line[LINE] = "";
    add_default(line, c, "loss.scale", "");
    add_default(line, c, "data.image_size", "");
    if (c->head.pool != BW_POOL_GSP) add_default(line, c, "head.dim", "");
    if (c->train.order == BW_ORDER_END_TO_END) {
        add_default(line, c, "head.pool", " (end to end)");
        add_default(line, c, "noise.kind", " (end to end)");
    }
    if (line[0]) bw_log(BW_LOG_INFO, "defaults: %s", line);
}

static void say_block(const bw_config *c, int k)
{
    char line[LINE] = "";
    for (int i = 0; i < bw__keys(); i++) {
        char unused[BW_KEY_NAME];
        if (!bw__key_is_set(c, i, k)) continue;
        bw_key key = bw__key_of_block(unused, i, k);
        key.name = bw__key(i)->name;
        add(line, c, &key, "");
    }
    if (line[0]) bw_log(BW_LOG_INFO, "block %d: %s", k + 1, line);
}

void bw__config_say(const bw_config *config)
{
    char line[LINE];
    say_defaults(config);
    for (int k = 0; k < BW_MAX_BLOCKS; k++)
        say_block(config, k);
    for (int i = 0; bw__config_unused_at(line, sizeof line, config, i); i++)
        bw_log(BW_LOG_WARN, "%s", line);
}
