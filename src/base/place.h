/* Where the right class stands among the others. */
#ifndef BW_BASE_PLACE_H
#define BW_BASE_PLACE_H
#include <math.h>

/* Place of class `label` by logits z [classes], from 0; of equal logits the lower class comes first. Written
 * so that a NaN anywhere counts as before it. */
static inline int bw__place_of(const float *z, int classes, int label)
{
    if (!isfinite(z[label])) return classes;
    int place = 0;
    for (int j = 0; j < classes; j++)
        place += j < label ? !(z[j] < z[label]) : j > label && !(z[j] <= z[label]);
    return place;
}
#endif
