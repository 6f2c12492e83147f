#include "train/environment.h"
#include "base/clock.h"
#include "base/memory.h"
#include "blockwise/trainer.h"
#include "formats/json.h"
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The processor's own name, as Linux tells it. */
static void cpu_name(char *name, size_t size)
{
    static const char key[] = "model name";
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    (void)snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (!value || strncmp(line, key, sizeof key - 1) != 0) continue;
        value += strspn(value, ": \t");
        (void)snprintf(name, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f) (void)fclose(f);
}

static void time_text(char *text, size_t size)
{
    struct tm utc;
    time_t now = time(NULL);
    if (!gmtime_r(&now, &utc) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) text[0] = '\0';
}

bw_status bw__environment_json(char **out, const bw_environment *e)
{
    char cpu[256], started[64];
    struct utsname system;
    memset(&system, 0, sizeof system);
    (void)uname(&system);
    cpu_name(cpu, sizeof cpu);
    time_text(started, sizeof started);

    json_t *o = json_object();
    int failed = !o;
    failed |= json_object_set_new(o, "version", bw__json_text(bw_version()));
    failed |= json_object_set_new(o, "git", bw__json_text(BW_GIT));
    failed |= json_object_set_new(o, "started", bw__json_text(started));
    failed |= json_object_set_new(o, "command", e->command ? bw__json_text(e->command) : json_null());
    failed |= json_object_set_new(o, "data", bw__json_text(e->data));
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
    failed |= json_object_set_new(o, "threads", json_integer(e->threads));
    failed |= json_object_set_new(o, "loader_threads", json_integer(e->loader_threads));
    failed |= json_object_set_new(o, "compiler", bw__json_text(__VERSION__));
    bw_status st = bw__json_pretty(out, failed ? NULL : o);
    json_decref(o);
    return st;
}
