/* The entry point that libFuzzer, AFL++ and tests/formats/test_fuzz_*.c call. */
#ifndef BW_FUZZ_H
#define BW_FUZZ_H
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
