#include "cli/results.h"
#include "base/memory.h"
#include <math.h>

bw_status cli_print_json(json_t *value)
{
    char *text = NULL;
    bw_status st = bw__json_pretty(&text, value);
    if (st == BW_OK) fputs(text, stdout);
    bw__free(text);
    json_decref(value);
    return st;
}

json_t *cli_json_percent(double percent)
{
    return bw__json_real(round(percent * 100.0) / 100.0);
}

json_t *cli_json_block(int block, const char *other)
{
    return block < 0 ? bw__json_text(other) : json_integer(block + 1);
}
