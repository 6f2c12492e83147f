/* Heads that a block cannot have. */
#include "base/error.h"
#include "formats/architecture.h"
#include "formats/config_schema.h"
#include <stdio.h>

bool bw__lsp_grid(int64_t *rows, int64_t *columns, int64_t dim, int64_t channels)
{
    *rows = *columns = 1;
    while (channels * *rows * *columns < dim)
        *(*rows == *columns ? columns : rows) *= 2;
    return channels * *rows * *columns == dim;
}

/* The most values that a block of `channels` and `size` pixels a side has: no cell smaller than a pixel. */
static int64_t largest_lsp_dim(int64_t channels, int64_t size)
{
    int64_t rows = 1, columns = 1;
    for (;;) {
        int64_t *next = rows == columns ? &columns : &rows;
        if (*next > size / 2) return channels * rows * columns;
        *next *= 2;
    }
}

static bw_status check_lsp(const bw_config *config, int k, const bw_head_config *head)
{
    int last = bw__config_block_units(config, k).end - 1;
    int64_t channels = bw__unit_channels(config, last), size = bw__unit_size(config, last), rows, columns;
    int64_t most = largest_lsp_dim(channels, size), below = channels, above;
    while (below * 2 <= head->dim && below * 2 <= most)
        below *= 2;
    above = below < head->dim && below * 2 <= most ? below * 2 : below;
    int index = bw__key_find("head.dim");
    char use[64], own[BW_KEY_NAME];
    const char *key = bw__key_of_block(own, index, bw__key_is_set(config, index, k) ? k : BW_OF_RUN).name;
    int used = snprintf(use, sizeof use, "%lld", (long long)below);
    if (above > below) (void)snprintf(use + used, sizeof use - (size_t)used, " or %lld", (long long)above);
    if (!bw__lsp_grid(&rows, &columns, head->dim, channels))
        return bw_fail(BW_EINVAL,
                       "%s: %lld values do not make a grid of 1, 2, 4, 8, ... cells of the %lld "
                       "channels of block %d, as head.pool lsp has it; use %s there, or another head.pool",
                       key, (long long)head->dim, (long long)channels, k + 1, use);
    if (rows > size || columns > size)
        return bw_fail(BW_EINVAL,
                       "%s: %lld values of the %lld channels of block %d are a grid of %lld x %lld "
                       "cells, but the block puts out %lld x %lld pixels; use %s there, larger images, or "
                       "another head.pool",
                       key, (long long)head->dim, (long long)channels, k + 1, (long long)rows,
                       (long long)columns, (long long)size, (long long)size, use);
    return BW_OK;
}

bw_status bw__heads_check(const bw_config *config)
{
    bw_status st = BW_OK;
    for (int k = 0; k < bw__config_blocks(config) && st == BW_OK; k++) {
        bw_head_config head = bw_config_block(config, k).head;
        if (head.pool == BW_POOL_LSP) st = check_lsp(config, k, &head);
    }
    return st;
}
