/* Types of stored activations. Statistics, gradients of parameters, pooled features and losses are f32 (or
 * double) whatever the activations are. */
#ifndef BW_NN_TYPE_H
#define BW_NN_TYPE_H
#include <stddef.h>
#include <stdint.h>

typedef enum bw_type {
    BW_F32, /* IEEE 754 binary32 */
    BW_BF16 /* its upper 16 bits, rounded to nearest even */
} bw_type;

static inline size_t bw__type_size(bw_type type)
{
    return type == BW_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* Address of element i. */
static inline void *bw__at(bw_type type, void *p, int64_t i)
{
    return (char *)p + i * (int64_t)bw__type_size(type);
}
static inline const void *bw__const_at(bw_type type, const void *p, int64_t i)
{
    return (const char *)p + i * (int64_t)bw__type_size(type);
}
#endif
