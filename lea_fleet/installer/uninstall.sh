#!/bin/sh
# Report the uninstall of this machine to the server; remove the files of enroll.sh.
# Takes 8 seconds at most and always exits with 0, so that no uninstall fails.
set -eu
trap 'exit 0' EXIT

usage() {
  cat <<'USAGE'
Usage: uninstall.sh [OPTION VALUE]...

Report the uninstall of this machine to the server, and remove the files of enroll.sh. If
the server does not respond, the agent's token and the machine id are kept for a later
installation. Always exits with 0.

  --reason TEXT    the reason, for the operator
  --url URL        overrides the server's URL that enroll.sh stored
  --state-dir DIR  the folder with its files (LEA_STATE_DIR; default /var/lib/lea, on
                   macOS /Library/Application Support/Lea)
USAGE
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lea-fleet.sh
. "$here/lea-fleet.sh"

# Send the request, at most twice. Succeeds if the machine is uninstalled.
leave() {
  body=
  add_text reason "$reason" 500
  ask uninstall "$token" 4
  if passing; then
    sleep 1
    ask uninstall "$token" $((took < 6 ? 7 - took : 1))
  fi
  [ "$status/$(member status)" = 200/uninstalled ] || [ "$(member action)" = reenroll ]
}

reason="uninstalled"
typed_url=
while [ $# -gt 0 ]; do
  option=$1 value=
  case $option in
    --*=*) option=${1%%=*} value=${1#*=} ;;
    --reason | --url | --state-dir)
      value=${2-}
      [ $# -eq 1 ] || shift
      ;;
  esac
  shift
  case $option in
    --help) usage && exit ;;
    --reason) reason=$value ;;
    --url) typed_url=${value%/} ;;
    --state-dir) state=$value ;;
    *) echo "uninstall.sh: unknown option: $option (see --help)" >&2 ;;
  esac
done

state=$(absolute "$state")
find_agent
enter_state || exit # nothing is stored
safe_here || {
  echo "Nothing was reported or removed. $(distrust)" >&2
  exit
}
trap 'close_work; exit 0' EXIT
open_work 2>/dev/null || exit # nothing can be removed
known_url=$(stored server-url.txt)
! is_url "$known_url" || url=$known_url
url=${typed_url:-$url}
token=$(stored agent-token.txt)
over=
if ! is_token "$token"; then
  [ -f ../enroll-key.txt ] || over=yes # otherwise an enrollment got no response
elif leave; then
  over=yes
  echo "This machine has been uninstalled."
else
  echo "The uninstall could not be reported to the server. $(outcome) $(tls_fault)" >&2
fi

# Remove the private folders of runs that were killed, which have no folders in them. Each
# under a name of its own: one that was exchanged for a link meanwhile stays, and would
# receive the next one.
for old in ../.work.*; do
  look "$old"
  case $owner$mode in "${me}d"*) ;; *) continue ;; esac
  [ "$old" != "../$private" ] || continue
  taken=./old.${old##*.}
  mv -f "$old" "$taken"
  look "$taken"
  case $owner$mode in "${me}d"*) rm -f "$taken"/* "$taken"/.*.new && rmdir "$taken" ;; esac
done
close_work
[ -z "$over" ] || rm -f agent-token.txt machine-id.txt system-id.txt enroll-key.txt
rm -f server-url.txt heartbeat-interval.txt enroll-last-error.txt enroll.lock .*.new
cd / && rmdir "$state" 2>/dev/null || : # if it is empty
