#define _GNU_SOURCE /* memmem */
/* Files of torch.save(): what PyTorch wrote (tests/fixtures/generate_torch.py) is read to the bit, and
 * nothing that a pickle asks for is done. */
#include "mutations.h"
#include "../../fuzz/fuzz_pickle.c"
#include "base/memory.h"
#include "formats/file.h"
#include "formats/torch_file.h"
#include <stdio.h>
#include <unistd.h>
#include <zip.h>

static bw_torch_file *open_fixture(const char *name)
{
    bw_torch_file *f;
    CHECK_OK(bw__torch_open(&f, fixture_path(name)));
    return f;
}

/* Values of the tensor called `name`, as f32; the caller frees. */
static float *values_of(bw_torch_file *f, const char *name, const bw_st_tensor **out)
{
    for (int64_t i = 0; i < bw__torch_count(f); i++) {
        const bw_st_tensor *t = bw__torch_at(f, i);
        if (strcmp(t->name, name) != 0) continue;
        float *values = NULL;
        CHECK_OK(bw__torch_read(f, i));
        CHECK_OK(BW_ALLOC(&values, t->bytes + 1));
        if (t->dtype != BW_ST_I64) CHECK_OK(bw__st_to_f32(values, t));
        *out = t;
        return values;
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static void expect(bw_torch_file *f, const char *name, int ndim, const int64_t *shape, const float *want,
                   int n)
{
    const bw_st_tensor *t = NULL;
    float *got = values_of(f, name, &t);
    assert_int_equal(t->ndim, ndim);
    for (int d = 0; d < ndim; d++)
        assert_int_equal(t->shape[d], shape[d]);
    for (int i = 0; i < n; i++)
        assert_true(got[i] == want[i]);
    bw__free(got);
}

static void tensors_of_every_kind_have_their_values(void **state)
{
    (void)state;
    const bw_st_tensor *counter = NULL;
    int64_t number;
    bw_torch_file *f = open_fixture("torch/state.pth");
    assert_int_equal(bw__torch_count(f),
                     9); /* the optimiser's, under a key that is no string, is not there */
    expect(f, "model.plain", 2, (int64_t[]){ 3, 4 }, (float[]){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, 12);
    expect(f, "model.turned", 2, (int64_t[]){ 4, 3 }, (float[]){ 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11 }, 12);
    expect(f, "model.part", 1, (int64_t[]){ 4 }, (float[]){ 5, 6, 7, 8 }, 4);
    expect(f, "model.half", 1, (int64_t[]){ 2 }, (float[]){ 1.5f, -2 }, 2);
    expect(f, "model.bfloat16", 1, (int64_t[]){ 2 }, (float[]){ 1.5f, -3 }, 2);
    expect(f, "model.double", 1, (int64_t[]){ 1 }, (float[]){ 0.1f }, 1);
    expect(f, "model.parameter", 2, (int64_t[]){ 1, 1 }, (float[]){ 7 }, 1);
    expect(f, "model.empty", 2, (int64_t[]){ 0, 3 }, NULL, 0);
    bw__free(values_of(f, "model.counter", &counter));
    assert_true(counter->dtype == BW_ST_I64 && counter->ndim == 0);
    memcpy(&number, counter->data, sizeof number);
    assert_int_equal(number, 1234567890123);
    bw__torch_close(f);
}

static void refused(const char *path, const char *why)
{
    bw_torch_file *f;
    assert_int_equal(bw__torch_open(&f, path), BW_EDATA);
    assert_null(f);
    if (!strstr(bw_last_error(), why)) fail_msg("got '%s', want in it '%s'", bw_last_error(), why);
}

static void pickle_that_wants_to_run_something_is_refused_and_nothing_runs(void **state)
{
    (void)state;
    refused(fixture_path("torch/hostile.pth"), "posix.system");
    assert_int_not_equal(access("hostile-pickle-was-run", F_OK), 0);
}

/* Pickles by hand. */
static void refused_pickle(const char *bytes, size_t n, const char *why)
{
    bw_pickle *p;
    assert_int_equal(bw__pickle_read(&p, bytes, n, "test"), BW_EDATA);
    assert_null(p);
    if (!strstr(bw_last_error(), why)) fail_msg("got '%s', want in it '%s'", bw_last_error(), why);
}
#define REFUSED(text, why) refused_pickle(text, sizeof(text) - 1, why)

static void every_way_to_name_or_call_a_function_is_closed(void **state)
{
    (void)state;
    REFUSED("\x80\x02"
            "cos\nsystem\n(X\x02\x00\x00\x00lstR.",
            "os.system");                                                /* GLOBAL */
    REFUSED("\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "os.system");     /* STACK_GLOBAL */
    REFUSED("\x80\x02(cbuiltins\neval\no.", "builtins.eval");            /* OBJ */
    REFUSED("\x80\x02(X\x01\x00\x00\x00xios\nsystem\n.", "instruction"); /* INST */
    REFUSED("\x80\x02"
            "ccollections\nOrderedDict\n)\x81.",
            "instruction");                      /* NEWOBJ */
    REFUSED("\x80\x02\x82\x01.", "instruction"); /* EXT1 */
    REFUSED("\x80\x02Ptext\n.", "instruction");  /* PERSID */
    REFUSED("\x80\x02"
            "ctorch\nFloatStorage\n)R.",
            "calls a function"); /* a type is not called */
    REFUSED("\x80\x02"
            "c__main__\nexclude_bias_and_norm\n)R.",
            "calls a function");
    REFUSED("\x80\x02"
            "ccollections\nOrderedDict\n(K\x01tR.",
            "calls a function"); /* with arguments */
    REFUSED("\x80\x02"
            "ctorch._utils\n_rebuild_tensor_v2\n)R.",
            "no tensor");
}

static void damaged_stacks_are_refused(void **state)
{
    (void)state;
    REFUSED("", "the data ends");
    REFUSED("\x80\x02.", "nothing is on the stack");
    REFUSED("\x80\x02t.", "no mark");
    REFUSED("\x80\x02(N.", "mark is left");
    REFUSED("\x80\x02}(K", "the data ends");
    REFUSED("\x80\x02}(K\x01u.", "a key has no value");
    REFUSED("\x80\x02h\x05.", "never had");
    REFUSED("\x80\x02NN\x87.", "too long");
    REFUSED("\x80\x02X\xff\xff\xff\x7f"
            "abc.",
            "longer than the data");
    REFUSED("\x80\x02K\x01K\x02"
            "a.",
            "another kind of value");
    REFUSED("\x80\x02)Q.", "no storage");
    /* A list below a mark takes nothing of what stands above it. */
    REFUSED("\x80\x02](K\x01"
            "at.",
            "nothing is on the stack");
    REFUSED("\x80\x02](K\x01(K\x02"
            "e1t.",
            "another kind of value");
    REFUSED("\x80\x02]((K\x02"
            "e1t.",
            "nothing is on the stack");
}

static void other_files_are_told_apart(void **state)
{
    (void)state;
    char path[4200];
    int code;
    refused(fixture_path("torch/old.pth"), "before 1.6");
    refused("/nowhere/x.pth", "cannot be opened");
    assert_true(bw__torch_looks_like(fixture_path("torch/state.pth")));
    assert_true(bw__torch_looks_like(fixture_path("torch/old.pth")));
    assert_false(bw__torch_looks_like(__FILE__));
    (void)snprintf(path, sizeof path, "%s/other.zip", temp_folder());
    zip_t *zip = zip_open(path, ZIP_CREATE, &code);
    assert_non_null(zip);
    assert_true(zip_file_add(zip, "readme", zip_source_buffer(zip, "x", 1, 0), 0) >= 0);
    assert_int_equal(zip_close(zip), 0);
    refused(path, "no data.pkl");
}

static void file_that_is_cut_or_changed_is_refused(void **state)
{
    (void)state;
    char path[4200], *text;
    size_t bytes;
    bw_torch_file *f;
    CHECK_OK(bw__file_read(&text, &bytes, fixture_path("torch/state.pth"), 1 << 20));
    (void)snprintf(path, sizeof path, "%s/cut.pth", temp_folder());
    for (int cut = 0; cut < 2; cut++) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        /* Or one bit of the first storage: its checksum says so when it is read. */
        char *seven = cut ? NULL : memmem(text, bytes, "\0\0\xe0\x40", 4); /* 7.0f of the parameter */
        if (seven) seven[3] ^= 1;
        assert_int_equal(fwrite(text, 1, cut ? bytes / 2 : bytes, out), cut ? bytes / 2 : bytes);
        assert_int_equal(fclose(out), 0);
        bw_status st = bw__torch_open(&f, path);
        bool failed = st != BW_OK;
        for (int64_t i = 0; st == BW_OK && i < bw__torch_count(f); i++)
            failed = failed || bw__torch_read(f, i) == BW_EDATA;
        assert_true(failed);
        if (st == BW_OK) bw__torch_close(f);
    }
    bw__free(text);
}

static void damaged_pickles_do_no_harm(void **state)
{
    (void)state;
    static const char *const WORDS[] = { "(",
                                         "t",
                                         "R",
                                         "q\1",
                                         "h\1",
                                         "}",
                                         "u",
                                         "s",
                                         "Q",
                                         "\x85",
                                         "a",
                                         "]",
                                         "b",
                                         "X\4\0\0\0abcd",
                                         "ctorch\nFloatStorage\n",
                                         "K\x7f",
                                         "\x8a\1\xff",
                                         "." };
    int code;
    char pickle[4096];
    zip_t *zip = zip_open(fixture_path("torch/state.pth"), ZIP_RDONLY, &code);
    assert_non_null(zip);
    zip_file_t *entry = zip_fopen(zip, "state/data.pkl", 0);
    assert_non_null(entry);
    zip_int64_t n = zip_fread(entry, pickle, sizeof pickle);
    assert_true(n > 100 && n < (zip_int64_t)sizeof pickle);
    (void)zip_fclose(entry);
    zip_discard(zip);
    assert_int_equal(LLVMFuzzerTestOneInput((const uint8_t *)pickle, (size_t)n), 0);
    run_mutations(pickle, (size_t)n, WORDS, sizeof WORDS / sizeof *WORDS, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_of_every_kind_have_their_values),
        cmocka_unit_test(pickle_that_wants_to_run_something_is_refused_and_nothing_runs),
        cmocka_unit_test(every_way_to_name_or_call_a_function_is_closed),
        cmocka_unit_test(damaged_stacks_are_refused),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(file_that_is_cut_or_changed_is_refused),
        cmocka_unit_test(damaged_pickles_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
