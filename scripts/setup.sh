#!/usr/bin/env bash
# Installs the Debian packages the project builds and runs with; does nothing when all are there.
set -euo pipefail
packages=(build-essential cmake ninja-build pkg-config
  libdnnl-dev librandom123-dev libjpeg62-turbo-dev libspng-dev libwebp-dev zlib1g-dev libarchive-dev
  libopenmpi-dev openmpi-bin libyaml-dev libjansson-dev libxxhash-dev liblapacke-dev libopenblas-dev
  libprotobuf-c-dev protobuf-c-compiler libonnx-dev libisal-dev libzip-dev libjs-dygraphs libmicrohttpd-dev
  libcmocka-dev file dataset-fashion-mnist iproute2 iputils-ping)
[ "${1:-}" = --ci ] && packages+=(clang clang-format libomp-dev mpich libmpich-dev python3-protobuf python3-numpy python3-opencv doxygen
  chromium chromium-driver python3-selenium fonts-dejavu-core mandoc groff-base zsh fish debootstrap)

# Exported ONNX models are also run in onnxruntime, which is a package of npm. It stays outside of the tree; without
# npm or network those checks are left out.
node=${XDG_CACHE_HOME:-${HOME:-}/.cache}/blockwise
if [ "${1:-}" = --ci ] && command -v npm >/dev/null && [ ! -e "$node/node_modules/onnxruntime-node/package.json" ]; then
  mkdir -p "$node"
  timeout 180 npm install --prefix "$node" --ignore-scripts --no-audit --no-fund --silent onnxruntime-node@1.30.0 >&2 ||
    echo "setup: npm cannot install onnxruntime-node; tests go without it" >&2
fi

missing=()
for p in "${packages[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: not root and no sudo; install by hand: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >&2
