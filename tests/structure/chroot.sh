#!/usr/bin/env bash
# label: slow (takes minutes and the network: run by hand, with BW_CHROOT=1)
# The packages on a system that has nothing else: a minimal Debian is made in a folder, the packages are installed with
# what they depend on, the program trains and evaluates, and removing them leaves nothing.
set -u
skip() { echo "$*"; exit 77; }
[ "${BW_CHROOT:-}" = 1 ] || skip "takes minutes and the network; run with BW_CHROOT=1"
[ "$(id -u)" = 0 ] || skip "needs root"
command -v debootstrap >/dev/null || skip "no debootstrap here"
# Mounts and processes are those of name spaces of their own, which end with the inner run. The folder is made and
# removed out here, where nothing was ever mounted below it.
if [ -z "${BW_CHROOT_FOLDER:-}" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf --one-file-system "$folder"' EXIT
  unshare --mount --pid --fork true 2>/dev/null || skip "no name spaces here"
  BW_CHROOT_FOLDER=$folder unshare --mount --pid --fork bash "$0"
  exit $?
fi
source "$(dirname "$0")/../cli/lib/expect.sh"

# The release and the mirror that this machine's apt uses.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
  awk -v name="$codename" '$2 == name && $3 == "main" { print $1; exit }')
[ -n "$mirror" ] || skip "apt names no mirror of $codename"
(cd "$work" && cpack --config "$(dirname "$BLOCKWISE")/CPackConfig.cmake" -B "$work/packages") >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }

root=$BW_CHROOT_FOLDER/root
debootstrap --variant=minbase "$codename" "$root" "$mirror" >"$work/log" 2>&1 || { tail "$work/log" >&2; skip "no minimal system"; }
mount -t proc proc "$root/proc" || skip "may not mount"
cp "$work"/packages/{blockwise,libblockwise-dev,python3-blockwise}_*.deb "$root/tmp/"
make_data "$root/tmp/data" 2
inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" /bin/sh -c "cd /tmp && $1" >"$work/said" 2>&1
}
# holds COMMAND PATTERN: it succeeds and says so.
holds() {
  checks=$((checks + 1))
  inside "$1" || fail "$1: exit status $?: $(tail -20 "$work/said")"
  grep -qE -- "$2" "$work/said" || fail "$1: '$2' is not in: $(tail -20 "$work/said")"
}
inside 'find / -xdev \( -path /tmp -o -path /proc \) -prune -o -iname "*blockwise*" -print' && [ ! -s "$work/said" ] ||
  fail "there before: $(cat "$work/said")"
holds "apt-get -qq update; apt-get -qq install --no-install-recommends -y ./*.deb" "Setting up blockwise"
holds "blockwise --version" "^blockwise [0-9]"
holds "blockwise list recipes" "^paper-imagenet "
holds "ldconfig -p" "libblockwise[.]so[.][0-9]"
holds "zcat /usr/share/man/man1/blockwise-pretrain.1.gz" "^[.]TH BLOCKWISE"
holds "bash -c '. /usr/share/bash-completion/completions/blockwise; COMP_LINE=\"blockwise pro\" COMP_POINT=13
  COMP_WORDS=(blockwise pro) COMP_CWORD=1; _blockwise; echo \$COMPREPLY'" "^probe$"
settings=
for word in "${tiny[@]}"; do settings="$settings '$word'"; done
holds "blockwise pretrain --data data --out run $settings --quiet" "^run/model.safetensors$"
holds "blockwise knn run --data data --k 5" "block 4|^ *4 "
holds "blockwise selftest --quiet" ""
# Byte code, which python writes beside the module as root, is removed with it.
holds "python3 -c 'import blockwise; print(blockwise.version())'" "^[0-9]+[.][0-9]+[.]"
holds "python3 -c 'import blockwise, os; print(os.listdir(os.path.dirname(blockwise.__cached__)))'" "[.]pyc"
holds "dpkg --remove python3-blockwise libblockwise-dev blockwise" "Removing blockwise"
inside 'find / -xdev \( -path /tmp -o -path /proc -o -path /var/lib/dpkg \) -prune -o -iname "*blockwise*" -print'
[ ! -s "$work/said" ] || fail "left by removing: $(cat "$work/said")"
holds "dpkg --purge blockwise && dpkg --audit && echo whole" "^whole$"
inside 'find / -xdev \( -path /tmp -o -path /proc \) -prune -o -iname "*blockwise*" -print'
[ ! -s "$work/said" ] || fail "left by purging: $(cat "$work/said")"
finish
