/* Feeds text to the configuration reader; what it accepts must print, load back and resolve the same way. */
#include "fuzz.h"
#include "blockwise/config.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bw_config first = bw_config_default(), second = bw_config_default(), third = bw_config_default();
    char *text = NULL, *again = NULL;

    /* The same bytes as an assignment, which ends at the first '\0'. */
    char *assignment = malloc(size + 1);
    if (assignment) {
        memcpy(assignment, data, size);
        assignment[size] = '\0';
        if (bw_config_set(&third, assignment) != BW_OK && !bw_last_error()[0]) __builtin_trap();
    }
    free(assignment);

    if (bw_config_load(&first, (const char *)data, size, "fuzz") != BW_OK) return 0;
    if (bw_config_to_yaml(&text, &first) != BW_OK) return 0;
    if (bw_config_load(&second, text, strlen(text), "printed") != BW_OK) __builtin_trap();
    if (bw_config_to_yaml(&again, &second) != BW_OK || strcmp(text, again) != 0) __builtin_trap();
    bw_free(text);
    bw_free(again);
    memcpy(second.is_set, first.is_set, sizeof second.is_set); /* a printed text gives every key */
    if (memcmp(&first, &second, sizeof first) != 0) __builtin_trap();
    if (bw_config_resolve(&first) == BW_OK && bw_config_resolve(&first) != BW_OK) __builtin_trap();
    return 0;
}
