#!/bin/sh
# Enroll this machine with the server or, if already enrolled, report its new version.
# Run again after a failure, it resumes the enrollment. See --help.
set -eu

usage() {
  cat <<'USAGE'
Usage: enroll.sh [OPTION VALUE]...

Enroll this machine with the server or, if already enrolled, report its new version.
The enrollment token is read from lea-enroll-token.txt next to this script, or else from
LEA_ENROLL_TOKEN, or else from --token.

  --version TEXT      the version of the installed agent
  --user-name TEXT    the user of this machine; also --user-email and --user-id
  --hostname TEXT     overrides this machine's hostname
  --os-info TEXT      overrides the name and version of the system
  --machine-id ID     overrides the id of the system; pass the same one every time
  --no-reactivate     do not reactivate an uninstalled machine
  --allow-reactivate  reactivate an uninstalled machine (the default)
  --agent-user NAME   the owner of the agent's files and their folder (LEA_AGENT_USER;
                      default: their owner so far)
  --state-dir DIR     the folder for these files (LEA_STATE_DIR; default /var/lib/lea, on
                      macOS /Library/Application Support/Lea)
  --url URL           the server's URL including the prefix of the routes
  --token TOKEN       the enrollment token; other users can see it in the process list

Exit codes: 0 success; 2 invalid option; 20 no usable response, run it again later; 21 an
operator has to act; 22 this installer is not correct; 23 refused permanently; 24 the
state folder cannot be written, or not safely; 25 a proxy wants a name and password. From
20 on, enroll-last-error.txt in it has details, if it can be written.
USAGE
}

misused() {
  echo "enroll.sh: $1 (see --help)" >&2
  exit 2
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lea-fleet.sh
. "$here/lea-fleet.sh"

# Report what happened, $2, and what to do, $3. Exit with $1.
fail() {
  text="Enrollment failed, or this machine's details could not be reported.
When: $(date -u +%Y-%m-%dT%H:%M:%SZ)
Machine: ${machine_id:-unknown}
Server: $url
What happened: $2
What to do: $3"
  printf '%s\n' "$text" >&2
  [ -z "${private-}" ] || store enroll-last-error.txt "$text" 644 2>/dev/null || :
  exit "$1"
}

unwritable() {
  fail 24 "The folder $state cannot be written." \
    "Make it writable or make room, then run enroll.sh again."
}

unsafe() {
  fail 24 "$(distrust)" \
    "Correct its owner or mode, or pass its owner as --agent-user; then run enroll.sh again."
}

# Write $2 to the file $1 of the state folder atomically, with the mode $3.
store() {
  cat >"./.$1.new" <<TEXT && chmod "$3" "./.$1.new" && put "$1" && return
$2
TEXT
  rm -f "./.$1.new"
  return 1
}

# Give .$1.new to the agent's account and move it to the file $1 of the state folder.
put() {
  [ "$agent_id" = "$me" ] || chown "$agent_id" "./.$1.new" || return
  [ ! -d "../$1" ] || rm -f "../$1" || return # fails unless it is a link
  if [ -n "$exact" ]; then
    mv -f "$exact" "./.$1.new" "../$1"
  else # macOS before 13
    rm -f "../$1" && link "./.$1.new" "../$1" && rm -f "./.$1.new"
  fi
}

# Give the agent's account what is in a folder of root's, and then the folder, so that the
# agent can replace and remove its files. A folder with files of others stays root's.
hand_over() {
  [ "$agent_id" != 0 ] && [ -n "$alone" ] || return 0
  for name in $files; do
    look "../$name"
    case $owner in '' | "$agent_id") continue ;; esac
    mv -f "../$name" "./.$name.new" && put "$name" || return
  done
  for path in ../* ../.[!.]* ../..?*; do
    look "$path"
    case $owner in '' | "$agent_id") continue ;; esac
    case ${path#../} in
      enroll-last-error.txt | enroll.lock | .work.* | .*.new) ;;
      *)
        echo "enroll.sh: $state has other files, and stays root's: the agent's account" \
          "cannot replace or remove its files there." >&2
        return 0
        ;;
    esac
  done
  chown "$agent_id" .. && alone=
}

# Print when the process $1 began, as its system counts; nothing if it does not say.
began() {
  if [ -r "/proc/$1/stat" ]; then # a name may have spaces and brackets
    awk '{ line = line $0 } END {
      sub(/.*[)] /, "", line); split(line, field, " "); print field[20]
    }' "/proc/$1/stat" 2>/dev/null
  else
    ps -o lstart= -p "$1" 2>/dev/null | tr -cd '0-9A-Za-z'
  fi
}

# Whether the process of the lock $1 is running and is not this one. Its number may be
# another process's by now, which began at another time. Older versions wrote no time.
at_work() {
  process=${1%%-*}
  [ "$process" != $$ ] && kill -0 "$process" 2>/dev/null || return
  case $1 in *-?*) [ "$(began "$process")" = "${1#*-}" ] ;; esac
}

# Whether the lock is of a run that is gone, or no lock of a run at all.
left_behind() {
  case $other in
    '') [ -e "$lock" ] ;;
    *) ! at_work "$other" ;;
  esac
}

# Wait until no other run is active: each enrollment revokes the token of the one before.
# Ignore a run whose process is gone, or that takes longer than any run can.
take_turn() {
  lock=../enroll.lock
  mark=$$-$(began $$)
  waited=0
  until ln -s "${exact:--n}" "$mark" "$lock" 2>/dev/null; do
    other=$(readlink "$lock") || other=
    waited=$((waited + 1))
    if [ "$waited" -gt $((4 * patience + 60)) ]; then
      rm -f "$lock"
      ln -s "${exact:--n}" "$mark" "$lock" && break
      unwritable
    fi
    if left_behind; then
      rm -f "$lock" || unwritable
    else
      sleep 1
    fi
  done
  trap 'rm -f "$lock" || :; close_work' EXIT
}

# Print the id that the system has given this machine. It has none yet where the file is
# empty, "uninitialized" or all zeros, as in an image before its first boot.
system_id() {
  if [ "$(uname -s)" = Darwin ]; then
    ioreg -rd1 -c IOPlatformExpertDevice |
      sed -n 's/.*"IOPlatformUUID" = "\([^"]*\)".*/\1/p'
  elif [ -r /etc/machine-id ]; then
    sed -n '/^0*$/d; /^[0-9a-f]\{32\}$/p' /etc/machine-id
  fi
}

# Set machine_id to the id of the system. Where it has none, one is made, and stays when
# the system gets one: system-id.txt then has the id that the system got, or "none". With
# an id that is neither of the two, the disk is a copy, and this is another machine.
identify() {
  ours=$(system_id) || :
  bound=$(stored system-id.txt)
  case ${known:+$bound} in
    '') ;;
    "$ours" | none)
      machine_id=$known
      [ -z "$ours" ] || bound=$ours
      return
      ;;
    *) [ -n "$ours" ] || { machine_id=$known && return; } ;;
  esac
  bound=
  machine_id=${ours:-$known}
  [ -n "$machine_id" ] || bound=none machine_id=$(random)
}

system_name() {
  if [ "$(uname -s)" = Darwin ]; then
    echo "macOS $(sw_vers -productVersion) $(uname -m)"
  else
    name=$(sed -n 's/^PRETTY_NAME="*\([^"]*\)"*$/\1/p' /etc/os-release) || :
    echo "${name:-$(uname -s)} $(uname -r) $(uname -m)"
  fi
}

# Open the state folder; determine the id of this machine, and the id stored there.
prepare() {
  trap close_work EXIT
  trap 'exit 130' INT
  trap 'exit 143' HUP TERM
  command -v curl >/dev/null || fail 22 "curl is not installed on this machine." \
    "Install curl, then run enroll.sh again."
  safe "$state" || unsafe
  (umask 022 && mkdir -p "$state") || unwritable
  enter_state || unwritable
  safe_here || unsafe
  open_work || unwritable
  take_turn
  hand_over || unwritable
  known=$(stored machine-id.txt)
  bound=
  [ -n "$machine_id" ] || identify
}

# Add the details of this machine, for an enrollment or a report.
add_details() {
  add_text user_name "$user_name" 255
  add_text user_email "$user_email" 255
  add_text user_id "$user_id" 255
  add_text hostname "$hostname" 255
  add_text os_info "$os_info" 255
  add_text version "$version" 255
}

# Send a request as ask does, and retry until the response is final or $patience seconds
# are over. Obeys Retry-After within limits.
insist() {
  left=$patience
  next=$pause
  while :; do
    ask "$1" "$2" $((left > 20 ? 20 : left < 1 ? 1 : left)) "${3-}"
    left=$((left - took))
    passing || return 0
    [ "$left" -gt 0 ] || return 0
    wait=$(awk -v least="$pause" -v most="$longest_pause" '
      tolower($1) == "retry-after:" && $2 ~ /^[0-9]+\r?$/ {
        wait = $2 + 0
        if (wait > most) wait = most
        if (wait < least) wait = least
      }
      END { print wait }' "$work/head")
    if [ -z "$wait" ]; then
      wait=$next
      next=$((next * 2 > longest_pause ? longest_pause : next * 2))
    fi
    [ "$wait" -le "$left" ] || wait=$left
    sleep "$wait"
    left=$((left - wait))
  done
}

# Fail with the exit code and the advice for the last response.
refuse() {
  happened=$(outcome)
  again="then run enroll.sh again."
  [ "$status" != 407 ] || fail 25 "$happened" \
    "Put the name and password for the proxy into its variable, or bypass it, $again"
  mend=$(tls_fault)
  [ -z "$mend" ] || fail 20 "$happened" "$mend Then run enroll.sh again."
  passing && fail 20 "$happened" "Check that the server can be reached, $again"
  # The token was sent: something before the server has removed it.
  [ "$(member code)" != missing_token ] || fail 22 "$happened" \
    "Ask the operator to look at the proxies between here and the server, $again"
  case $(member action) in
    retry | '') fail 20 "$happened" "Check that the server can be reached, $again" ;;
    fix_request) fail 22 "$happened" "Correct what this installer sends, $again" ;;
    stop) fail 23 "$happened" "Nothing, unless the machine should be enrolled after all." ;;
    *) fail 21 "$happened" "Ask the operator of the server, $again" ;;
  esac
}

# Store the values of the last response, print $1 and exit with 0.
settle() {
  interval=$(member heartbeat_interval)
  case $interval in '' | *[!0-9]*) interval=60 ;; esac
  store heartbeat-interval.txt "$interval" 644 || unwritable
  store server-url.txt "$url" 644 || unwritable
  [ -z "$bound" ] || store system-id.txt "$bound" 644 || unwritable
  rm -f ../enroll-key.txt ../enroll-last-error.txt || unwritable
  echo "$1"
  exit 0
}

# Report the details with the stored token and exit. Returns only if the server has
# uninstalled this machine (reenroll).
report() {
  body=
  add_details
  insist heartbeat "$known_token"
  [ "$status/$(member status)" != 200/ok ] ||
    settle "Machine $machine_id is enrolled; details reported."
  action=$(member action)
  case $status/$action in 4??/reenroll) ;; *) refuse ;; esac
}

# Set the enrollment token: from the file, or the environment, or the option.
find_enrollment_token() {
  file=$here/lea-enroll-token.txt
  written_token=
  [ ! -r "$file" ] || written_token=$(unquoted <"$file")
  token=$(printf '%s\n' "${written_token:-${token:-$typed_token}}" | unquoted)
  is_token "$token" && return
  if [ -n "$written_token" ]; then
    missed="There is no enrollment token: $file has other text, or more than the token."
  elif [ -n "$token" ]; then
    missed="There is no enrollment token: what was given is another text."
  elif [ -e "$file" ] && [ ! -r "$file" ]; then
    missed="There is no enrollment token: $file cannot be read."
  else
    missed="There is no enrollment token, not even in $file."
  fi
  fail 22 "$missed" "Put the token from the operator into $file, then run enroll.sh again."
}

# Enroll, store the response, and exit. Discards the identity of another machine, as
# left by a copied disk.
enroll() {
  find_enrollment_token
  rm -f ../agent-token.txt || unwritable
  [ "$machine_id" = "$known" ] || rm -f ../enroll-key.txt ../system-id.txt || unwritable
  [ -z "$bound" ] || store system-id.txt "$bound" 644 || unwritable
  store machine-id.txt "$machine_id" 644 || unwritable
  key=$(stored enroll-key.txt)
  if ! is_token "$key"; then
    key=$(random)
    store enroll-key.txt "$key" 600 || unwritable
  fi
  body=
  add_text machine_id "$machine_id" 9999
  add_details
  body="$body${reactivate:+, \"allow_reactivate\": $reactivate}"
  insist enroll "$token" "$key"
  token=$(member api_token)
  [ "$status" = 201 ] || refuse
  is_token "$token" || refuse
  store agent-token.txt "$token" 600 || unwritable
  settle "Machine $machine_id is enrolled ($(member status))."
}

patience=${LEA_PATIENCE:-60}           # seconds, for a request and its retries
pause=${LEA_PAUSE:-1}                  # seconds; also the first pause
longest_pause=${LEA_LONGEST_PAUSE:-30} # seconds
agent_user=${LEA_AGENT_USER-}
token=${LEA_ENROLL_TOKEN-}
unset LEA_ENROLL_TOKEN
typed_token=
machine_id=
reactivate=
version=
user_name=
user_email=
user_id=
hostname=$(uname -n)
os_info=$(system_name 2>/dev/null)

while [ $# -gt 0 ]; do
  option=$1 value=
  case $option in
    --help | --allow-reactivate | --no-reactivate) ;;
    --*=*) option=${1%%=*} value=${1#*=} ;;
    --*)
      [ $# -gt 1 ] || misused "unknown option, or option without a value: $option"
      value=$2
      shift
      ;;
  esac
  shift
  case $option in
    --help) usage && exit ;;
    --allow-reactivate) reactivate= ;;
    --no-reactivate) reactivate=false ;;
    --version) version=$value ;;
    --user-name) user_name=$value ;;
    --user-email) user_email=$value ;;
    --user-id) user_id=$value ;;
    --hostname) hostname=$value ;;
    --os-info) os_info=$value ;;
    --machine-id) machine_id=$(printf '%s\n' "$value" | first_line) ;;
    --token) typed_token=$value ;;
    --url) url=${value%/} ;;
    --state-dir) state=$value ;;
    --agent-user) agent_user=$value ;;
    *) misused "unknown option: $option" ;;
  esac
done
is_url "$url" || misused "not a valid URL of a server: $url"
for seconds in "$patience" "$pause" "$longest_pause"; do
  case $seconds in
    *[!0-9]* | 0?* | ??????*) misused "not a valid number of seconds: $seconds" ;;
  esac
done
state=$(absolute "$state")
find_agent
[ -z "$agent_user" ] || agent_id=$(id -u "$agent_user" 2>/dev/null) ||
  misused "no such user: $agent_user"

prepare
known_token=$(stored agent-token.txt)
if [ "$machine_id" = "$known" ] && [ -n "$known_token" ]; then
  report
fi
enroll
