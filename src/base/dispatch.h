/* Functions marked BW_CLONES are compiled for several instruction sets; the loader picks one at start. The
 * loops so marked work on independent channels and contraction is off, so every path gives the same bits. */
#ifndef BW_BASE_DISPATCH_H
#define BW_BASE_DISPATCH_H
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&     \
    !defined(__SANITIZE_THREAD__)
#define BW_CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define BW_CLONES
#endif
#define BW_INLINE static inline __attribute__((always_inline))
#endif
