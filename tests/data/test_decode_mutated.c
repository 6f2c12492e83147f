/* The entry of the fuzzer, given damaged copies of every fixture: the same ones in every run. The sanitizers
 * of the asan preset are what looks on; without them it shows that nothing crashes or hangs. */
#include "temp_files.h"
#include "base/rng.h"
#include "data/decode.h"
#include "../../fuzz/fuzz_decode.c"
#include <dirent.h>

enum { COPIES = 60 };

/* Flips bits, overwrites bytes or runs of them, cuts, or repeats a part. */
static size_t damage(uint8_t *bytes, size_t size, bw_rng *r)
{
    int changes = 1 + (int)bw__rng_below(r, 4);
    for (int i = 0; i < changes && size > 0; i++) {
        size_t at = bw__rng_below(r, size), n = 1 + bw__rng_below(r, size - at);
        switch (bw__rng_below(r, 6)) {
        case 0:
        case 1:
            bytes[at] ^= (uint8_t)(1u << bw__rng_below(r, 8));
            break;
        case 2:
            bytes[at] = (uint8_t)bw__rng_u32(r);
            break;
        case 3:
            memset(bytes + at, bw__rng_below(r, 2) ? 0xff : 0, n < 8 ? n : 8);
            break;
        case 4:
            memmove(bytes + bw__rng_below(r, size - n + 1), bytes + at, n);
            break;
        default:
            size = at;
        }
    }
    return size;
}

static void damaged_images_are_decoded_or_refused(void **state)
{
    (void)state;
    char folder[4096];
    int files = 0, refused = 0;
    (void)snprintf(folder, sizeof folder, "%s", fixture_path("images"));
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        size_t size;
        if (e->d_name[0] == '.' || strstr(e->d_name, ".ppm")) continue;
        uint8_t *whole = read_whole(in(folder, e->d_name), &size);
        uint64_t name = 0; /* the damage depends on the file alone, not on the order of the folder */
        for (const char *p = e->d_name; *p; p++)
            name = name * 31 + (uint8_t)*p;
        for (uint64_t copy = 0; copy < COPIES; copy++) {
            bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, name, copy, 0);
            uint8_t *bytes = malloc(size + 1);
            assert_non_null(bytes);
            memcpy(bytes, whole, size);
            size_t left = damage(bytes, size, &r);
            bytes = realloc(bytes, left + 1); /* what is cut off must not be readable */
            assert_non_null(bytes);
            bw_image image = { 0 };
            refused += bw__decode(&image, bytes, left, NULL) != BW_OK;
            bw_image_clear(&image);
            assert_int_equal(LLVMFuzzerTestOneInput(bytes, left), 0);
            free(bytes);
        }
        free(whole);
        files++;
    }
    closedir(dir);
    assert_true(files > 30);
    /* The damage is real, and not all of it is fatal. */
    assert_in_range(refused, files * COPIES / 2, files * COPIES - files);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(damaged_images_are_decoded_or_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
