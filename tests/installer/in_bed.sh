#!/usr/bin/env bash
# Run a Windows program in the test bed; its exit code is that of the program.
#
#   in_bed.sh BED WINDOWS WORK CA [NAME=VALUE]... PROGRAM [ARGUMENT]...
#
# WINDOWS is the folder with what this Windows has beyond the fresh one of the BED
# (at first nothing), WORK one that is Z:\work to the program, CA a file of certificate
# authorities to trust, or "". All is mounted in a namespace that ends with this
# process, and so do all the processes in it.
set -euo pipefail
exec unshare --mount --pid --fork --kill-child -- bash -euo pipefail -c '
root=$1/root fresh=$1/prefix windows=$2 work=$3 ca=$4
shift 4
mount --bind "$work" "$root/work"
mkdir -p "$windows" "$windows.overlay"
layers=lowerdir=$fresh,upperdir=$windows,workdir=$windows.overlay
if ! mount -t overlay -o "$layers" overlay "$root/prefix" 2>/dev/null; then
  # Not on this file system: a whole copy takes its place.
  [ -e "$windows/system.reg" ] || cp -a --reflink=auto "$fresh/." "$windows"
  mount --bind "$windows" "$root/prefix"
fi
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
[ -z "$ca" ] || mount --bind "$ca" "$root/etc/ssl/certs/ca-certificates.crt"
wine_environment=(
  HOME=/root PATH=/usr/lib/wine:/usr/bin:/bin LANG=C.UTF-8
  WINEPREFIX=/prefix WINEARCH=win32 WINEDEBUG=-all
  WINEDLLOVERRIDES="mscoree,mshtml=;winemenubuilder.exe=d"
)
in_root() { chroot "$root" /usr/bin/env -i "${wine_environment[@]}" "$@"; }
variables=()
while [[ $1 == *=* ]]; do
  variables+=("$1")
  shift
done
status=0
in_root "${variables[@]}" /usr/lib/wine/wine "$@" || status=$?
in_root /usr/lib/wine/wineserver -w
exit "$status"
' in_bed "$@"
