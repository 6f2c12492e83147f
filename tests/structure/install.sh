#!/usr/bin/env bash
# label: slow (links against the plain library, which a sanitizer build is not)
# What `cmake --install` puts under a prefix, which then moves, is enough to run the program and to build and run every
# example against the library: through pkg-config and find_package, shared and static, in C and in C++.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() {
    echo "$1" >&2
    [ ! -f "$tmp/log" ] || tail -40 "$tmp/log" >&2
    exit 1
}
cmake --install "$(dirname "$BLOCKWISE")" --prefix "$tmp/before" >"$tmp/log" 2>&1 || fail "it does not install"
mv "$tmp/before" "$tmp/prefix"

version=$("$tmp/prefix/bin/blockwise" --version)
case $version in "blockwise "[0-9]*) ;; *) fail "unexpected version: $version" ;; esac
for recipe in "$BW_SOURCE"/recipes/*.yaml; do
    cmp "$recipe" "$tmp/prefix/share/blockwise/recipes/$(basename "$recipe")"
done
diff -r "$BW_SOURCE/include/blockwise" "$tmp/prefix/include/blockwise"
lib=$(dirname "$(find "$tmp/prefix" -name libblockwise.so)")

# --- tiny data: 24 grey images of 28 x 28 in the form of MNIST, each another pattern of bars ---
mkdir "$tmp/data" "$tmp/bin"
{
    printf '\0\0\10\3\0\0\0\30\0\0\0\34\0\0\0\34'
    awk 'BEGIN { for (i = 0; i < 24; i++) for (y = 0; y < 28; y++) for (x = 0; x < 28; x++)
        printf "%c", 33 + (x * (i % 5 + 1) + y * (i % 7) + 11 * i) % 94 }'
} >"$tmp/data/train-images-idx3-ubyte"

# --- pkg-config: every example, and a program in C++ ---
export PKG_CONFIG_PATH=$lib/pkgconfig
[ "blockwise $(pkg-config --modversion blockwise)" = "${version%% (*}" ] || fail "pkg-config has another version"
read -ra flags <<<"$(pkg-config --cflags --libs blockwise)"
case "${flags[*]}" in *dnnl* | *archive*) fail "programs would link what only the library needs: ${flags[*]}" ;; esac
for source in "$BW_SOURCE"/examples/*.c; do
    name=$(basename "$source" .c)
    cc -std=c17 -Wall -Wextra -Wpedantic -Werror "$source" "${flags[@]}" -lm "-Wl,-rpath,$lib" -o "$tmp/bin/$name"
done

read -ra all <<<"$(pkg-config --cflags --libs --static blockwise)"
cc -std=c17 "$BW_SOURCE/examples/embed_image.c" "${all[@]/#-lblockwise/$lib/libblockwise.a}" -o "$tmp/bin/static"

cat >"$tmp/uses.cpp" <<'CPP'
#include <blockwise/blockwise.h>
#include <cmath>
#include <cstdio>
#include <cstring>

static bw_status embed(const bw_network *network, const bw_dataset *data)
{
    float *features = nullptr;
    int64_t *index = nullptr, rows = 0;
    bw_status status = bw_embed(&features, &index, &rows, network, data, 1, BW_FEATURE_HEAD, 1, nullptr, nullptr);
    if (status == BW_OK && (rows != 3 || !std::isfinite(features[0]))) status = BW_EDATA;
    bw_free(features);
    bw_free(index);
    return status;
}

int main()
{
    if (std::strcmp(bw_version(), BW_VERSION) != 0 || BW_VERSION_NUMBER < BW_MAKE_VERSION(0, 1, 0)) return 1;
    bw_set_log([](void *, bw_log_level, const char *line) { std::fprintf(stderr, "%s\n", line); }, nullptr);
    bw_image_source source = bw_image_source();
    source.name = "from C++";
    source.images = 3;
    source.read = [](void *, int64_t number, bw_image *image) -> bw_status {
        bw_status status = bw_image_resize(image, 40, 50);
        if (status == BW_OK) std::memset(image->rgb, static_cast<int>(number) * 50, 40 * 50 * 3);
        return status;
    };
    bw_dataset *data = nullptr;
    bw_network *network = nullptr;
    bw_config config = bw_config_default();
    bw_status status = bw_config_set(&config, "model={arch: resnet18, width: 8, stem: cifar}");
    if (status == BW_OK) status = bw_config_resolve(&config);
    if (status == BW_OK) status = bw_network_create(&network, &config);
    if (status == BW_OK) status = bw_dataset_from_source(&data, &source);
    if (status == BW_OK) status = embed(network, data);
    bw_dataset_free(data);
    bw_network_free(network);
    if (status == BW_OK) std::printf("%s\n", bw_version());
    else std::fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
    return status == BW_OK ? 0 : 1;
}
CPP
for standard in c++11 c++17; do
    c++ "-std=$standard" -Wall -Wextra -Wpedantic -Werror "$tmp/uses.cpp" "${flags[@]}" "-Wl,-rpath,$lib" -o "$tmp/uses"
    [ "blockwise $("$tmp/uses")" = "${version%% (*}" ] || fail "the program in $standard fails"
done

# --- find_package, the shared and the static library ---
# A prefix with a space in its name.
mkdir "$tmp/project"
cp -r "$tmp/prefix" "$tmp/a prefix"
cat >"$tmp/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 11)
find_package(blockwise 0.1 REQUIRED COMPONENTS static)
add_executable(shared ${EXAMPLES}/embed_image.c)
target_link_libraries(shared PRIVATE blockwise::blockwise)
add_executable(static ${EXAMPLES}/embed_image.c)
target_link_libraries(static PRIVATE blockwise::static)
add_executable(cpp uses.cpp)
target_link_libraries(cpp PRIVATE blockwise::blockwise)
find_package(blockwise 9 QUIET)
if(blockwise_FOUND)
  message(FATAL_ERROR "another version was taken for the one asked for")
endif()
CMAKE
cp "$tmp/uses.cpp" "$tmp/project"
env -u PKG_CONFIG_PATH cmake -S "$tmp/project" -B "$tmp/build" -DCMAKE_PREFIX_PATH="$tmp/a prefix" \
    -DEXAMPLES="$BW_SOURCE/examples" >"$tmp/log" 2>&1 || fail "find_package fails"
cmake --build "$tmp/build" >"$tmp/log" 2>&1 || fail "what find_package gives does not build"
"$tmp/build/cpp" >/dev/null || fail "the program of find_package in C++ fails"
needs=$(readelf -d "$tmp/build/static")
case $needs in *libblockwise.so*) fail "the static program needs the shared library" ;; esac

# --- what the examples do ---
run=$tmp/run
begin() { "$tmp/bin/$@" >"$tmp/log" 2>&1 || fail "the example $1 fails"; }
begin pretrain_with_callbacks "$tmp/data" "$run" 3 0
grep -q "stopped after step 1 of 3" "$tmp/log" || fail "pretrain_with_callbacks does not stop when it should"
begin pretrain_with_callbacks "$tmp/data" "$run" 3
[ "$(grep -c '^step ' "$tmp/log")" -eq 2 ] || fail "pretrain_with_callbacks does not go on from step 1"
grep -q 'on_diag' "$tmp/log" && grep -q 'done, lowest loss' "$tmp/log" || fail "pretrain_with_callbacks says something else"

# ResNet-18 of width 8 ends with 64 channels: a name and 64 numbers a line.
photo=$BW_FIXTURES/images/rgb.jpg
begin embed_image "$run" "$photo" "$BW_FIXTURES/images/rgba.png"
awk 'NF != 65 { bad = 1 } { for (i = 2; i <= NF; i++) if ($i !~ /^[-+0-9.e]+$/) bad = 1 }
    END { exit (bad || NR != 2) }' "$tmp/log" || fail "embed_image prints something else"
cp "$tmp/log" "$tmp/features"
for kind in build/shared build/static bin/static; do
    "$tmp/$kind" "$run" "$photo" "$BW_FIXTURES/images/rgba.png" | cmp - "$tmp/features" || fail "$kind differs"
done
if "$tmp/bin/embed_image" "$run" "$tmp/nothing.jpg" >"$tmp/log" 2>&1; then fail "embed_image took a file that is not there"; fi
grep -q 'nothing.jpg: no such file' "$tmp/log" || fail "embed_image does not say which file is missing"

begin custom_loss "$tmp/data" "$tmp/own" 2
grep -Eq '^step 2:( [0-9.]+){4} .*agree [0-9.]+ disagree [0-9.]+' "$tmp/log" || fail "custom_loss prints something else"
grep -q 'rule: hinge' "$tmp/own/config.yaml" || fail "config.yaml does not name the rule"
"$tmp/prefix/bin/blockwise" inspect "$tmp/own" >"$tmp/log" 2>&1 || fail "the program cannot look at a run with a rule"

begin custom_source "$tmp/painted" 2
[ "$(grep -cE '^block [1-4], (head|trunk): [0-9.]+ % of the test images right$' "$tmp/log")" -ge 4 ] ||
    fail "custom_source prints something else"
grep -q '"data_format": "painted"' "$tmp/painted/environment.json" || fail "environment.json does not name the source"
