#include "train/environment.h"
#include "base/isa.h"
#include "base/machine.h"
#include "base/memory.h"
#include "blockwise/trainer.h"
#include "formats/config_check.h"
#include "formats/json.h"
#include "nn/exec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void time_text(char *text, size_t size)
{
    struct tm utc;
    time_t now = time(NULL);
    if (!gmtime_r(&now, &utc) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) text[0] = '\0';
}

bw_status bw__environment_hosts(bw_host **out, bw_comm *comm, const bw_config *config)
{
    bw_status st = BW_OK;
    struct utsname system;
    bw_host own = { .threads = config->threads,
                    .loader_threads = config->data.threads,
                    .cores = bw__usable_cores() };
    memset(&system, 0, sizeof system);
    (void)uname(&system);
    (void)snprintf(own.name, sizeof own.name, "%.63s", system.nodename);
    (void)snprintf(own.isa, sizeof own.isa, "%s", bw_compute_isa());
    bw__cpu_name(own.cpu, sizeof own.cpu);
    st = BW_ALLOC(out, bw_comm_size(comm));
    BW_TRY(bw__comm_agree(comm, st));
    if (bw_comm_size(comm) == 1)
        **out = own;
    else
        BW_TRY(bw__comm_gather(comm, *out, &own, sizeof own));
out:
    return st;
}

static bool same_host(const bw_host *a, const bw_host *b)
{
    return strcmp(a->name, b->name) == 0;
}

/* Whether rank r is the first of its host. */
static bool is_first(const bw_host *host, int r)
{
    for (int i = 0; i < r; i++)
        if (same_host(&host[i], &host[r])) return false;
    return true;
}

static int count_hosts(const bw_host *host, int ranks)
{
    int n = 0;
    for (int r = 0; r < ranks; r++)
        n += is_first(host, r);
    return n;
}

/* An object a host; numbers of threads and cores are those of its first rank. */
static json_t *hosts_json(const bw_host *host, int ranks)
{
    json_t *list = json_array();
    int failed = !list;
    for (int r = 0; r < ranks; r++) {
        if (!is_first(host, r)) continue;
        json_t *o = json_object(), *members = json_array();
        for (int i = r; i < ranks; i++)
            if (same_host(&host[i], &host[r])) failed |= json_array_append_new(members, json_integer(i));
        failed |= json_object_set_new(o, "host", bw__json_text(host[r].name));
        failed |= json_object_set_new(o, "cpu", bw__json_text(host[r].cpu));
        failed |= json_object_set_new(o, "instruction_set", bw__json_text(host[r].isa));
        failed |= json_object_set_new(o, "ranks", members);
        failed |= json_object_set_new(o, "usable_cores", json_integer(host[r].cores));
        failed |= json_object_set_new(o, "threads", json_integer(host[r].threads));
        failed |= json_object_set_new(o, "loader_threads", json_integer(host[r].loader_threads));
        failed |= json_array_append_new(list, o);
    }
    if (!failed) return list;
    json_decref(list);
    return NULL;
}

bw_status bw__environment_json(char **out, const bw_environment *e)
{
    char cpu[256], started[64];
    struct utsname system;
    int ranks = e->grid->data * e->grid->rows;
    memset(&system, 0, sizeof system);
    (void)uname(&system);
    bw__cpu_name(cpu, sizeof cpu);
    time_text(started, sizeof started);

    json_t *o = json_object();
    int failed = !o;
    failed |= json_object_set_new(o, "version", bw__json_text(bw_version()));
    failed |= json_object_set_new(o, "git", bw__json_text(BW_GIT));
    failed |= json_object_set_new(o, "started", bw__json_text(started));
    failed |= json_object_set_new(o, "command", e->command ? bw__json_text(e->command) : json_null());
    failed |= json_object_set_new(o, "data", e->data ? bw__json_text(e->data) : json_null());
    failed |= json_object_set_new(o, "data_format", bw__json_text(e->data_format));
    failed |= json_object_set_new(o, "images", json_integer(e->images));
    failed |= json_object_set_new(o, "first_step", json_integer(e->first_step));
    failed |= json_object_set_new(o, "host", bw__json_text(system.nodename));
    failed |= json_object_set_new(o, "system", bw__json_text(system.sysname));
    failed |= json_object_set_new(o, "release", bw__json_text(system.release));
    failed |= json_object_set_new(o, "machine", bw__json_text(system.machine));
    failed |= json_object_set_new(o, "cpu", bw__json_text(cpu));
    failed |= json_object_set_new(o, "compute_library", bw__json_text(bw_compute_library()));
    failed |= json_object_set_new(o, "instruction_set", bw__json_text(bw_compute_isa()));
    failed |= json_object_set_new(o, "usable_cores", json_integer(bw__usable_cores()));
    failed |= json_object_set_new(o, "machine_cores", json_integer(bw__machine_cores()));
    failed |= json_object_set_new(o, "threads", json_integer(e->host[0].threads));
    failed |= json_object_set_new(o, "loader_threads", json_integer(e->host[0].loader_threads));
    failed |= json_object_set_new(o, "compiler", bw__json_text(__VERSION__));
    failed |= json_object_set_new(o, "ranks", json_integer(ranks));
    failed |= json_object_set_new(o, "parallel_data", json_integer(e->grid->data));
    failed |= json_object_set_new(o, "parallel_block", json_integer(e->grid->rows));
    failed |= json_object_set_new(o, "mpi", ranks > 1 ? bw__json_text(bw_comm_library()) : json_null());
    failed |= json_object_set_new(o, "hosts", hosts_json(e->host, ranks));
    bw_status st = bw__json_pretty(out, failed ? NULL : o);
    json_decref(o);
    return st;
}

/* --- the line at the start --- */

/* Instruction sets, each with all before it. */
static const char *const ISAS[] = {
    "generic",           "SSE4.1",          "AVX", "AVX2", "AVX2 with VNNI", "AVX-512", "AVX-512 with VNNI",
    "AVX-512 with bf16", "AVX-512 with AMX"
};

static int isa_rank(const char *name)
{
    for (int i = 0; i < (int)(sizeof ISAS / sizeof ISAS[0]); i++)
        if (strcmp(ISAS[i], name) == 0) return i;
    return -1;
}

/* Of the project's own loops, which have a limit of their own. */
static void warn_of_own_isa(void)
{
    const char *value = getenv(BW_ISA_VARIABLE);
    bw_isa_limit limit = bw__isa_limit();
    if (limit == BW_ISA_LOWERED)
        bw_log(BW_LOG_WARN, "%s=%s holds our own loops at %s, this processor has %s; unset it for speed",
               BW_ISA_VARIABLE, value ? value : "", bw__isa_name(bw__isa()), bw__isa_name(bw__isa_of_cpu()));
    else if (limit == BW_ISA_LIMIT_UNKNOWN)
        bw_log(BW_LOG_WARN, "%s=%s is not used: it is none of plain, avx2, avx512", BW_ISA_VARIABLE,
               value ? value : "");
}

static void warn_of_isa(void)
{
    static const char *const VARIABLES[] = { "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA" };
    const char *used = bw_compute_isa(), *there = bw__cpu_isa();
    if (isa_rank(used) < 0 || isa_rank(used) >= isa_rank(there)) return;
    for (size_t i = 0; i < sizeof VARIABLES / sizeof VARIABLES[0]; i++) {
        const char *value = getenv(VARIABLES[i]);
        if (!value || !value[0]) continue;
        bw_log(BW_LOG_WARN,
               "%s=%s holds the instruction set at %s, this processor has %s; unset it for speed",
               VARIABLES[i], value, used, there);
        return;
    }
}

static void warn_of_bf16(void)
{
    bw_bf16 have = bw__exec_bf16();
    if (have == BW_BF16_EMULATED)
        bw_log(BW_LOG_WARN, "%s=emulate: bf16 is imitated with f32 products, for tests; it is slow",
               BW_BF16_VARIABLE);
    if (have == BW_BF16_CONVERTED)
        bw_log(BW_LOG_WARN, "dtype: %s has no arithmetic for bf16; it saves memory here, and f32 is faster",
               bw_compute_isa());
}

static void warn_of_threads(const bw_config *config, int usable)
{
    const char *omp = getenv("OMP_NUM_THREADS");
    if (usable == 1 && bw__cores_shared_by() == 1)
        bw_log(BW_LOG_WARN,
               "only one core is usable of the machine's %d (affinity mask or quota of a control "
               "group)",
               bw__machine_cores());
    if (config->threads > usable)
        bw_log(BW_LOG_WARN,
               "threads: %d compute threads on %d usable core%s wait for each other; set threads to "
               "%d or fewer",
               config->threads, usable, usable == 1 ? "" : "s", usable);
    if (omp && omp[0] && atoi(omp) != config->threads && !bw_config_is_set(config, "threads"))
        bw_log(BW_LOG_WARN, "OMP_NUM_THREADS=%s is not used, %d threads are; the setting is called threads",
               omp, config->threads);
}

void bw__environment_say_ranks(const bw_grid *grid, const bw_host *host)
{
    int ranks = grid->data * grid->rows, hosts = count_hosts(host, ranks);
    if (ranks == 1) return;
    bw_log(BW_LOG_INFO, "ranks: %d on %d host%s (%s), every batch dealt to %d, the blocks to %d", ranks,
           hosts, hosts == 1 ? "" : "s", bw_comm_library(), grid->data, grid->rows);
    for (int r = 1; r < ranks; r++)
        if (strcmp(host[r].isa, host[0].isa) != 0) {
            bw_log(BW_LOG_WARN,
                   "host %s has %s (%s), host %s %s (%s): ranks wait for the slowest in every step",
                   host[r].name, host[r].cpu, host[r].isa, host[0].name, host[0].cpu, host[0].isa);
            return;
        }
}

void bw__environment_say(const bw_config *config)
{
    char cpu[256];
    char ranks[48] = "";
    int usable = bw__usable_cores(), sharing = bw__cores_shared_by();
    bw__cpu_name(cpu, sizeof cpu);
    if (sharing > 1) (void)snprintf(ranks, sizeof ranks, " for each of %d ranks here", sharing);
    bw_log(BW_LOG_INFO, "machine: %s, %s (%s), %d of %d cores%s, %s, %d thread%s", cpu, bw_compute_isa(),
           bw_compute_library(), usable, bw__machine_cores(), ranks,
           config->dtype == BW_DTYPE_BF16 ? "bf16" : "f32", config->threads, config->threads == 1 ? "" : "s");
    warn_of_isa();
    warn_of_own_isa();
    if (config->dtype == BW_DTYPE_BF16) warn_of_bf16();
    warn_of_threads(config, usable);
    bw__config_say(config);
}
