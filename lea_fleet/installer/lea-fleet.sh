# shellcheck shell=sh
# Functions that enroll.sh and uninstall.sh share: server, state folder, requests, JSON.
# Needs curl and standard POSIX tools.

LC_ALL=C # awk, od and tr count bytes; messages are English
export LC_ALL
umask 077

url=https://rpa.example.com/api/v1/agents
state=/var/lib/lea
[ "$(uname -s)" != Darwin ] || state='/Library/Application Support/Lea'
state=${LEA_STATE_DIR:-$state}
files="agent-token.txt machine-id.txt system-id.txt enroll-key.txt server-url.txt
heartbeat-interval.txt"
me=$(id -u)

# The state folder may belong to the agent's account, which can put a link, a pipe or a
# folder in the place of any file there, at any moment. So files are made in a private
# folder, the working directory, and renamed into the state folder, which is "..": unlike
# a path, neither can be exchanged. Root reads a file by a hard link to it in the private
# folder, where its type and owner stay as they were checked.

# Set mode, owner (a number) and size of the file $1 itself, also if it is a link. They are
# empty if there is none.
look() {
  read -r mode _ owner _ size _ <<LISTED
$(ls -ldn "$1" 2>/dev/null)
LISTED
}

# Set agent_id, the number of the account that the files are for: the owner of those that
# are there, or else the user who runs this.
find_agent() {
  agent_id=$me
  [ "$me" = 0 ] || return 0
  for name in $files; do
    look "$state/$name"
    [ -z "$owner" ] || { agent_id=$owner && return; }
  done
}

# Whether nobody but root and the agent's account decides where the path $1 leads. Sets
# theirs if that account does.
trusted() {
  path=$1
  while look "$path"; do
    case $owner in '' | 0) ;; "$agent_id") theirs=yes ;; *) return 1 ;; esac
    case $mode in
      l*) [ "$owner" = 0 ] || return 1 ;;
      d???????w[!tT]*) return 1 ;;
    esac
    case $path in / | .) return 0 ;; esac
    path=$(dirname "$path")
  done
}

# Enter the state folder. Sets alone if nobody but root can write to it.
enter_state() {
  [ -n "$state" ] && cd -P -- "$state" 2>/dev/null || return 1
  look .
  alone=
  case $owner$mode in 0d????-??-*) alone=yes ;; esac
}

# Whether root can work in the folder $1. Others risk nothing that is not their own.
safe() {
  [ "$me" != 0 ] || trusted "$1"
}

# Whether it can in the state folder, which has been entered. Where the agent's account
# could lead the path anywhere, only to a folder that is its own, or in one of its own.
safe_here() {
  theirs=
  safe "$state" && safe "$(pwd -P)" || return
  [ -n "$theirs" ] || return 0
  look .
  [ "$owner" != "$agent_id" ] || return 0
  look ..
  [ "$owner" = "$agent_id" ]
}

distrust() {
  echo "The folder $state, or one above it, belongs to another account, is reached by a" \
    "link of one, or can be written by everybody."
}

# Print the path of the state folder without what would hide that it is a link.
absolute() {
  case $1 in
    '') ;;
    /*) dirname "$1/." ;;
    *) dirname "$PWD/$1/." ;;
  esac
}

random() {
  od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n'
}

# Enter $private, a new folder in the state folder, which has been entered. It could have
# inherited an ACL that admits others; if they have put anything into it, this fails.
open_work() {
  place=$(pwd -P)
  place=${place%/}/.work.$(random)
  mkdir "${place##*/}" && cd -P "${place##*/}" || return
  look .
  [ "$(pwd -P)" = "$place" ] && [ "$owner" = "$me" ] || return
  chmod -N ./ 2>/dev/null || : # the option of macOS for its ACLs, which 700 leaves alone
  chmod 700 ./ && [ -z "$(ls -A)" ] || return
  private=${place##*/}
  work=.
  find_exact
  [ "$me" != 0 ] || { : >probe && ln probe held; }
}

# Set exact, the option of mv and ln that does not follow a link to a folder (GNU and
# busybox: -T; BSD and macOS: -h), and itself, that of ln which links to a link.
find_exact() {
  for exact in -T -h ''; do
    : >probe
    [ -z "$exact" ] || ! mv -f "$exact" probe held 2>/dev/null || break
  done
  : >probe
  rm -f held
  itself=-P
  ln "$itself" probe held 2>/dev/null || itself=
  rm -f held
}

# Remove the private folder, which has no folders in it.
close_work() {
  [ -n "${private-}" ] || return 0
  rm -f ./* ./.*.new || :
  cd -P .. || return 0
  rmdir "$private" 2>/dev/null || :
  private=
}

# Print the first line of the input that is not blank, without what editors and shells
# add: surrounding spaces, a carriage return, a byte order mark (EF BB BF). PowerShell's >
# writes UTF-16: ASCII in it is itself without the zero bytes and the mark (FF and FE,
# which UTF-8 never has).
first_line() {
  tr -d '\000\376\377' | awk '
    NR == 1 { sub(/^\357\273\277/, "") }
    !found && /[^ \t\r]/ {
      sub(/^[ \t]+/, ""); sub(/[ \t\r]+$/, ""); print; found = 1
    }'
}

# Print the first line of the input without quotes around it, as cmd's echo writes them.
unquoted() {
  first_line | sed "s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/" | first_line
}

# Print the line in the file $1 of the state folder, if it exists. For root, it has to
# belong to the agent's account: what others own is not told to a server.
stored() {
  held=../$1
  if [ "$me" = 0 ]; then
    held=./held
    rm -f "$held"
    ln ${itself:+"$itself"} "../$1" "$held" 2>/dev/null || return 0
    look "$held"
    case $mode in -*) ;; *) return 0 ;; esac
    [ "$owner" = "$agent_id" ] || [ -n "$alone" ] || return 0
    [ "$size" -le 65536 ] || return 0
  fi
  [ ! -f "$held" ] || first_line <"$held"
}

# Whether $1 is the URL of a server.
is_url() {
  case $1 in http://?* | https://?*) ;; *) return 1 ;; esac
}

# Whether $1 is a valid Bearer token (RFC 6750, section 2.1).
is_token() {
  case $1 in '' | *[!A-Za-z0-9._~+/=-]*) return 1 ;; esac
}

# Print the text $1 as an ASCII JSON string, cut to $2 characters. Bytes that are not
# valid UTF-8 (Unicode, table 3-7), which the server refuses, become U+FFFD.
json_string() {
  printf %s "$1" | od -A n -v -t u1 | awk -v longest="$2" '
    function put(code) {
      if (++count > longest) return
      if (code == 34 || code == 92) printf "\\%c", code
      else if (code >= 32 && code < 127) printf "%c", code
      else if (code < 65536) printf "\\u%04x", code
      else printf "\\u%04x\\u%04x", 55296 + int((code - 65536) / 1024), \
        56320 + (code - 65536) % 1024
    }
    function begin(code, bytes, from, to) {
      sofar = code; missing = bytes; least = from; most = to
    }
    function take(byte) {
      if (missing && byte >= least && byte <= most) {
        begin(sofar * 64 + byte - 128, missing - 1, 128, 191)
        if (!missing) put(sofar)
        return
      }
      if (missing) { put(65533); missing = 0 }
      if (byte < 128) put(byte)
      else if (byte >= 194 && byte < 224) begin(byte - 192, 1, 128, 191)
      else if (byte >= 224 && byte < 240)
        begin(byte - 224, 2, byte == 224 ? 160 : 128, byte == 237 ? 159 : 191)
      else if (byte >= 240 && byte < 245)
        begin(byte - 240, 3, byte == 240 ? 144 : 128, byte == 244 ? 143 : 191)
      else put(65533)
    }
    BEGIN { printf "\"" }
    { for (i = 1; i <= NF; i++) take($i + 0) }
    END { if (missing) put(65533); print "\"" }'
}

# Add the member $1 with the text $2, cut to $3 characters, to the request $body. Omit it
# if the text is empty.
add_text() {
  [ -z "$2" ] || body="$body${body:+, }\"$1\": $(json_string "$2" "$3")"
}

# Print the proxy that curl uses for the server, without a password, and the variable that
# names it; nothing if there is none. Runs in a subshell.
proxy() (
  set -f
  case $url in https:*) names="https_proxy HTTPS_PROXY" ;; *) names=http_proxy ;; esac
  via=
  for name in $names all_proxy ALL_PROXY; do
    eval "via=\${$name-}"
    [ -z "$via" ] || break
  done
  [ -n "$via" ] || return 0
  server=${url#*//} server=${server%%/*} server=${server##*@}
  case $server in \[*) server=${server%%]*} server=${server#?} ;; *) server=${server%:*} ;; esac
  for bypassed in $(printf %s "${no_proxy-${NO_PROXY-}}" | tr , ' '); do
    case $bypassed in '*') return 0 ;; esac
    case .$server in *".${bypassed#.}") return 0 ;; esac
  done
  via=${via#*://} via=${via##*@}
  printf '%s (%s)\n' "${via%%/*}" "$name" | tr -cd ' -~\n'
)

# POST $body to the route $1 with the token $2, the Idempotency-Key $4 and a time limit of
# $3 seconds. Sets status, 000 without a complete response; fault, the exit code of curl;
# and took, the seconds it took, rounded up. A proxy that refuses to connect has a status
# too. The token is not visible in the process list; .curlrc is not read.
ask() {
  fault=0
  : >"$work/answer"
  : >"$work/head"
  printf '{%s}' "$body" >"$work/body"
  # curl does not send a header that is empty.
  curl -q -g -sS --proto '=http,https' --connect-timeout 10 --max-time "$3" \
    -H 'Content-Type: application/json' -H 'Expect:' --data-binary "@$work/body" \
    -D "$work/head" -o "$work/answer" -w '%{http_code} %{time_total} %{http_connect}\n' \
    --config - "$url/$1" <<FIELDS >"$work/told" 2>"$work/error" || fault=$?
header = "Authorization: Bearer $2"
header = "Idempotency-Key: ${4-}"
FIELDS
  read -r status seconds connected <"$work/told" || seconds=0 connected= # no curl
  [ "$fault" = 0 ] || status=000
  case $connected in 000 | '' | 2??) ;; *) status=$connected ;; esac
  # shellcheck disable=SC2034 # used by the scripts that source this
  took=$((${seconds%%[.,]*} + 1))
}

# Print what has to be done if the last request failed for its certificate, the authority
# of that, the clock, or for lack of TLS; nothing otherwise. Knows the words of OpenSSL and
# LibreSSL; GnuTLS does not say which of them it was.
tls_fault() {
  clock="this machine's clock, which says $(date -u +%Y-%m-%dT%H:%MZ)"
  case $fault:$(tr '[:upper:]' '[:lower:]' <"$work/error") in
    35:*reset* | 35:*timed* | 35:*eof* | 35:*syscall*) ;; # may pass
    35:*)
      echo "No TLS that curl knows is spoken there. Check the scheme and the port of the" \
        "URL, and what is in between."
      ;;
    60:*expired* | 60:*"not yet valid"*)
      echo "The certificate is not valid now. Renew it, or set $clock."
      ;;
    51:* | 60:*name*) echo "The certificate is for another name. Correct it, or the URL." ;;
    60:*self*signed* | 60:*issuer*)
      echo "This machine does not trust the certificate's authority. Install the authority's" \
        "own certificate, or name its file in CURL_CA_BUNDLE. A proxy that inspects TLS" \
        "has an authority of its own. If other machines trust it, the server may not send" \
        "the intermediate certificates: it needs the whole chain."
      ;;
    60:*) echo "The certificate is not trusted: check its authority, its dates, and $clock." ;;
    77:*)
      echo "curl cannot read its certificate authorities. Install ca-certificates, or" \
        "correct CURL_CA_BUNDLE."
      ;;
  esac
}

# Whether the last request failed only temporarily.
passing() {
  case $status in 000) [ -z "$(tls_fault)" ] ;; 429 | 5??) ;; *) return 1 ;; esac
}

# Print the string or number in the top-level member $1 of the response; nothing if there
# is no such member. Characters other than printable ASCII become a question mark.
member() {
  awk -v name="$1" '
    function code(hex,    i, value) {
      for (i = 1; i <= 4; i++)
        value = value * 16 + index("0123456789abcdef", tolower(substr(hex, i, 1))) - 1
      return value
    }
    function plain(text,    i, what, found, result) {
      if (text !~ /^"/) return text
      text = substr(text, 2, length(text) - 2)
      while (i = index(text, "\\")) {
        what = substr(text, i + 1, 1)
        result = result substr(text, 1, i - 1)
        text = substr(text, i + 2)
        if (what == "u") {
          found = code(text)
          text = substr(text, 5)
          what = found >= 32 && found < 127 ? sprintf("%c", found) : "?"
        } else if (index("bfnrt", what)) what = " "
        result = result what
      }
      return result text
    }
    NR == 1 && !/^[ \t]*[{]/ { exit }
    { text = text $0 " " }
    END {
      while (match(text, /^[ \t\r]*("([^"\\]|\\.)*"|[][{}:,]|[^][{}:," \t\r]+)/)) {
        token = substr(text, 1, RLENGTH)
        text = substr(text, RLENGTH + 1)
        sub(/^[ \t\r]+/, "", token)
        if (wanted) break
        if (token ~ /^[[{]$/) depth++
        if (token ~ /^[]}]$/) depth--
        wanted = depth == 1 && token == ":" && plain(last) == name
        last = token
      }
      if (!wanted || token ~ /^([[{:]|null$)/) exit
      token = plain(token)
      gsub(/[^ -~]/, "?", token)
      print token
    }' <"$work/answer"
}

# Print what curl said. It may quote the proxy's URL, whose password ends at the last @.
complaint() {
  first_line <"$work/error" | sed "s/'.*@/'/; s/[^ ]*@//g"
}

# Print the result of the last request, for a person.
outcome() {
  way=$(proxy)
  way=$url${way:+, through the proxy $way}
  if [ "$status" = 000 ]; then
    echo "No response from $way: $(complaint)"
  elif [ -n "$(member action)" ]; then
    echo "HTTP $status $(member code) ($(member action)): $(member detail)"
  else
    echo "HTTP $status from $way, which is not a response of the server itself."
  fi
}
