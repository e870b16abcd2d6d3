#!/usr/bin/env bash
# Run a Windows program in the test bed and exit with its exit code.
#
#   in_bed.sh BED BITS WINDOWS WORK CA [NAME=VALUE]... PROGRAM [ARGUMENT]...
#
# BITS is 32 or 64, WINDOWS a folder for the changes to the fresh Windows of the BED that
# has them (empty at first), WORK a folder that the program sees as Z:\work, CA a file
# with certificate authorities to trust, or "". The computer has a name of more than 15
# letters. Everything runs in a namespace that ends with this process, together with all
# processes in it.
set -euo pipefail
exec unshare --mount --uts --pid --fork --kill-child -- bash -euo pipefail -c '
root=$1/root bits=$2 fresh=$1/windows-$2 windows=$3 work=$4 ca=$5
shift 5
hostname comptabilite-paris-03
mount --bind "$work" "$root/work"
mkdir -p "$windows" "$windows.overlay"
layers=lowerdir=$fresh,upperdir=$windows,workdir=$windows.overlay
if ! mount -t overlay -o "$layers" overlay "$root/prefix" 2>/dev/null; then
  # Overlays do not work on this file system: use a full copy instead.
  [ -e "$windows/system.reg" ] || cp -a --reflink=auto "$fresh/." "$windows"
  mount --bind "$windows" "$root/prefix"
fi
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
[ -z "$ca" ] || mount --bind "$ca" "$root/etc/ssl/certs/ca-certificates.crt"
wine_environment=(
  HOME=/root PATH=/usr/lib/wine:/usr/bin:/bin LANG=C.UTF-8
  WINEPREFIX=/prefix WINEARCH=win$bits WINEDEBUG=-all
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
