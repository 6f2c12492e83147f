#include "check.h"
#include "nn/onednn_version.h"

static void a_set_of_instructions_is_named_by_the_largest_known_one_in_it(void **state)
{
    (void)state;
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_sse41), "SSE4.1");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx), "AVX");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx2), "AVX2");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx2_vnni), "AVX2 with VNNI");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx512_core), "AVX-512");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx512_core_vnni), "AVX-512 with VNNI");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx512_core_bf16), "AVX-512 with bf16");
    assert_string_equal(bw__cpu_isa_name(dnnl_cpu_isa_avx512_core_amx), "AVX-512 with AMX");
    /* A bit that no version has named yet, on top of AVX2. */
    unsigned newer = (unsigned)dnnl_cpu_isa_avx2 | 1u << 20;
    assert_string_equal(bw__cpu_isa_name((dnnl_cpu_isa_t)newer), "AVX2");
    assert_string_equal(bw__cpu_isa_name((dnnl_cpu_isa_t)0), "generic");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_of_instructions_is_named_by_the_largest_known_one_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
