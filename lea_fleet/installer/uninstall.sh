#!/bin/sh
# Tells the server that this machine leaves the fleet; removes what enroll.sh stored.
# Takes 8 seconds at most and always ends with 0: no uninstall fails because of it.
set -eu
trap 'exit 0' EXIT

usage() {
  cat <<'USAGE'
Usage: uninstall.sh [OPTION VALUE]...

Tell the server that this machine leaves the fleet, and remove what enroll.sh stored.
Where the server does not answer, the agent's token and the machine's id are kept, for a
later installation. Ends with exit code 0 whatever happens.

  --reason TEXT    why, for the operator
  --url URL        the server's address, instead of the one that enroll.sh stored
  --state-dir DIR  where that is stored (LEA_STATE_DIR; default /var/lib/lea, on macOS
                   /Library/Application Support/Lea)
USAGE
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lea-fleet.sh
. "$here/lea-fleet.sh"

# Tell the server, at most twice. Succeeds where it has ended this identity.
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
    *) echo "uninstall.sh: not understood: $option (see --help)" >&2 ;;
  esac
done

open_work 2>/dev/null || exit # nothing was stored, or nothing can be removed
trap 'close_work; exit 0' EXIT
known_url=$(stored server-url.txt)
url=${typed_url:-${known_url:-$url}}
token=$(stored agent-token.txt)
over=
if ! is_token "$token"; then
  [ -f "$state/enroll-key.txt" ] || over=yes # else an enrolment was left unanswered
elif leave; then
  over=yes
  echo "This machine has left the fleet."
else
  echo "The server could not be told that this machine left. $(outcome)" >&2
fi

close_work
(
  cd -- "$state"
  [ -z "$over" ] || rm -f agent-token.txt machine-id.txt enroll-key.txt
  rm -f server-url.txt heartbeat-interval.txt enroll-last-error.txt enroll.lock .*.new
  rm -rf .work.*
)
rmdir "$state" 2>/dev/null || : # where nothing else is in it
