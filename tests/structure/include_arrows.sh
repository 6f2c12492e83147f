#!/usr/bin/env bash
# The map of folders (docs/architecture.md) made mechanical. Every #include below src/ and include/ must
# follow an arrow of the map, each outside library is included by one folder only, and no two files
# share a name. Before it judges the project, the check is run on small trees that break each rule.
set -euo pipefail

# check_tree DIR: prints one line for each broken rule; status 1 if there is any.
check_tree() {
    (
        cd "$1"
        find src include -name '*.[ch]' | sort | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null
        # Lines without a colon are file names for the second rule.
        find . -name '*.[ch]' ! -path './build*/*' | sed 's|^\./||' | sort
    ) | awk '
    BEGIN {
        # A folder may include itself and folders of a lower rank; folders of one rank stand side by side.
        set_rank("cli", 10); set_rank("report", 9); set_rank("train eval", 8); set_rank("model loss", 7)
        set_rank("data", 6); set_rank("nn", 5); set_rank("dist", 4); set_rank("formats", 3)
        set_rank("base", 2)
        # A public header counts as part of the folder that implements it.
        home["status.h"] = "base"; home["allocator.h"] = "base"; home["version.h"] = "base"; home["comm.h"] = "dist"; home["config.h"] = "formats"; home["dataset.h"] = "data"
        home["network.h"] = "model"; home["rule.h"] = "loss"; home["trainer.h"] = "train"; home["plan.h"] = "train"; home["evaluate.h"] = "eval"
        home["blockwise.h"] = "cli"
        # Outside libraries: pattern of the header, name, folder (or folders, of which one may use it).
        library("^(dnnl.*|oneapi/.*)$", "oneDNN", "nn")
        library("^mpi\\.h$", "MPI", "dist")
        library("^(turbojpeg|jpeglib|jerror|spng|png|archive|archive_entry)\\.h$", "image and archive readers", "data")
        library("^webp/", "libwebp", "data")
        library("^(yaml|jansson|xxhash)\\.h$", "YAML, JSON, checksums", "formats")
        library("^(protobuf-c/.*|.*[.]pb-c[.]h)$", "protobuf", "formats")
        library("^isa-l/", "ISA-L", "formats")
        library("^zip[.]h$", "libzip", "formats")
        library("^microhttpd[.]h$", "libmicrohttpd", "report")
        library("^zlib\\.h$", "zlib", "data formats")
        library("^(lapacke|cblas)\\.h$", "LAPACK and BLAS", "base")
        library("^Random123/", "Random123", "base")
        library("^argp\\.h$", "argp", "cli")
        n = split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal " \
                  "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath " \
                  "threads time uchar wchar wctype dirent dlfcn fcntl fnmatch ftw getopt glob libgen link " \
                  "poll pthread sched semaphore spawn strings termios unistd " \
                  "omp immintrin cpuid malloc", names, " ")
        for (i = 1; i <= n; i++) standard[names[i] ".h"] = 1
    }
    function set_rank(folders, r,    i, n, f) {
        n = split(folders, f, " ")
        for (i = 1; i <= n; i++) rank[f[i]] = r
    }
    function library(pattern, name, folders) {
        libraries++
        lib_pattern[libraries] = pattern; lib_name[libraries] = name; lib_folders[libraries] = " " folders " "
    }
    function broken(where, what) {
        print where ": " what
        failures++
    }
    function folder_of(path,    part) {
        split(path, part, "/")
        if (part[1] == "src") return part[2]
        return (part[3] in home) ? home[part[3]] : ""
    }
    function inside(where, from, header,    part, to) {
        split(header, part, "/")
        if (part[1] == "blockwise") to = (part[2] in home) ? home[part[2]] : ""
        else to = part[1]
        if (to == "" || !(to in rank)) {
            broken(where, "\"" header "\" is in no folder of the map: include by \"folder/name.h\"")
        } else if (from != to && rank[to] >= rank[from]) {
            broken(where, "src/" from " must not know " to " (\"" header "\")")
        }
    }
    function outside(where, from, header,    i) {
        for (i = 1; i <= libraries; i++) {
            if (header !~ lib_pattern[i]) continue
            if (index(lib_folders[i], " " from " ") == 0)
                broken(where, "<" header "> (" lib_name[i] ") belongs to" lib_folders[i] "alone")
            else if (i in lib_user && lib_user[i] != from)
                broken(where, "<" header "> (" lib_name[i] ") is used by " lib_user[i] " already")
            lib_user[i] = from
            return
        }
        if (!(header in standard) && header !~ /^(sys|linux|arpa|netinet)\//)
            broken(where, "<" header "> is not in the table of outside libraries of this test")
    }
    !/:/ {
        n = split($0, part, "/")
        name = part[n]
        if (name in path_of) broken($0, "has the same name as " path_of[name])
        path_of[name] = $0
        if (part[1] == "src" && (n != 3 || !(part[2] in rank))) broken($0, "is in no folder of the map")
        if (part[1] == "include" && folder_of($0) == "") broken($0, "public header without a folder")
        next
    }
    {
        split($0, part, ":")
        where = part[1] ":" part[2]
        from = folder_of(part[1])
        if (!(from in rank)) next # reported by the rule above
        if (match($0, /"[^"]*"/)) inside(where, from, substr($0, RSTART + 1, RLENGTH - 2))
        else if (match($0, /<[^>]*>/)) outside(where, from, substr($0, RSTART + 1, RLENGTH - 2))
        else broken(where, "an #include without a plain name")
    }
    END { exit (failures > 0) }'
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# expect_red NAME MESSAGE FILE LINE [FILE LINE]...: a good tree plus these lines must be refused.
expect_red() {
    local name=$1 message=$2 tree=$tmp/$1
    shift 2
    good_tree "$tree"
    while [ $# -gt 0 ]; do
        mkdir -p "$tree/$(dirname "$1")"
        printf '%s\n' "$2" >>"$tree/$1"
        shift 2
    done
    if check_tree "$tree" >"$tmp/said"; then
        echo "self-test $name: a broken rule was not seen" >&2
        exit 1
    fi
    if ! grep -qF -- "$message" "$tmp/said"; then
        echo "self-test $name: expected '$message', got:" >&2
        cat "$tmp/said" >&2
        exit 1
    fi
}

good_tree() {
    mkdir -p "$1"/src/{cli,train,eval,nn,base,data} "$1/include/blockwise"
    printf '#include "blockwise/blockwise.h"\n#include <argp.h>\n' >"$1/src/cli/verb.c"
    printf '#include "blockwise/network.h"\n#include "nn/layer.h"\n#include "train/step.h"\n' >"$1/src/train/step.c"
    printf '#include "base/error.h"\n' >"$1/src/train/step.h"
    printf '#include <dnnl.h>\n#include "base/error.h"\n' >"$1/src/nn/layer.c"
    printf '#include <stdint.h>\n' >"$1/src/nn/layer.h"
    printf '#include <zlib.h>\n' >"$1/src/data/gz.c"
    : >"$1/src/base/error.h"
    : >"$1/include/blockwise/status.h"
}

good_tree "$tmp/good"
check_tree "$tmp/good" || { echo "self-test: the good tree was refused" >&2; exit 1; }
expect_red upward 'src/nn must not know model' src/nn/up.c '#include "model/network_internal.h"'
expect_red sideways 'src/eval must not know train' src/eval/side.c '  #  include "train/step.h"'
expect_red public_upward 'src/nn must not know train' src/nn/up.c '#include "blockwise/trainer.h"'
expect_red public_header 'src/base must not know model' include/blockwise/status.h '#include "blockwise/network.h"'
expect_red bare_name 'in no folder of the map' src/train/bare.c '#include "step.h"'
expect_red unknown_folder 'in no folder of the map' src/util/misc.c 'int x;'
expect_red kernel_outside_nn 'belongs to nn alone' src/train/leak.c '#include <dnnl.h>'
expect_red two_users 'is used by data already' src/formats/gz_too.c '#include <zlib.h>'
expect_red unknown_library 'not in the table' src/base/new.c '#include <sqlite3.h>'
expect_red same_name 'has the same name as' src/eval/step.c 'int x;'

check_tree "${BW_SOURCE:?folder of the project}"
echo "include arrows: as the map has them"
