#include "train/balance.h"
#include "base/error.h"
#include <math.h>

/* best[r][i]: the largest row where the first i blocks are shared by r rows; last[r][i]: where the last of
 * them begins. */
double bw__balance(int *begin, const double *cost, int n, int rows)
{
    double best[BW_MAX_BLOCKS + 1][BW_MAX_BLOCKS + 1];
    int last[BW_MAX_BLOCKS + 1][BW_MAX_BLOCKS + 1];
    BW_ASSERT(rows >= 1 && rows <= n && n <= BW_MAX_BLOCKS);
    for (int i = 0; i <= n; i++)
        best[0][i] = i == 0 ? 0.0 : (double)INFINITY;
    for (int r = 1; r <= rows; r++) {
        for (int i = r; i <= n; i++) {
            double row = 0.0;
            best[r][i] = (double)INFINITY;
            last[r][i] = i - 1;
            for (int b = i - 1; b >= r - 1; b--) {
                row += cost[b];
                double largest = fmax(best[r - 1][b], row);
                if (largest > best[r][i]) continue;
                best[r][i] = largest;
                last[r][i] = b;
            }
        }
    }
    begin[rows] = n;
    for (int r = rows; r >= 1; r--)
        begin[r - 1] = last[r][begin[r]];
    return best[rows][n];
}
