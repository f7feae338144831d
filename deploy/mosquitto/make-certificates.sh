#!/usr/bin/env bash
# Certificates for a broker, its boxes and its inbox, from a certificate authority (CA) of your own.
set -euo pipefail
umask 077

readonly CA_DAYS=7300 LEAF_DAYS=1825 NAME='^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'

usage() {
  cat <<HELP
usage: $(basename "$0") ca DIR
       $(basename "$0") server DIR HOST[,HOST...]
       $(basename "$0") client DIR NAME...

  ca      makes DIR and in it the CA: ca.crt, ca.key
  server  makes the broker's server.crt, server.key for the names and addresses by which clients reach it
  client  makes NAME.crt, NAME.key for each name: one for every box, and "inbox" for the doctor

The NAME of a box is its \`device\` in the agent's configuration; the broker lets it speak under that name only.
Keys are readable by you alone (mode 0600). Nothing is ever overwritten. Keep ca.key off the broker and off the
boxes: whoever has it can be any of them. CA: $((CA_DAYS / 365)) years; all others: $((LEAF_DAYS / 365)) years.

example: $(basename "$0") ca certs
         $(basename "$0") server certs broker.clinic.example,192.0.2.10
         $(basename "$0") client certs box-1 box-2 inbox
HELP
}

fail() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}

misused() {
  echo "$(basename "$0"): $1" >&2
  usage >&2
  exit 2
}

must_be_free() { # NAME
  local file
  for file in "$dir/$1.key" "$dir/$1.crt"; do
    [[ ! -e $file ]] || fail "$file exists and is not overwritten; move it away first if you mean to replace it"
  done
}

must_have_ca() {
  [[ -r $dir/ca.crt && -r $dir/ca.key ]] || fail "no CA in $dir; first: $(basename "$0") ca $dir"
}

# Keys and certificates are made in a hidden folder and moved when both are complete.
prepare() {
  work=$(mktemp -d "$dir/.new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
}

keep() { # NAME
  chmod 644 "$work/$1.crt"
  mv -n "$work/$1.key" "$work/$1.crt" "$dir/"
  echo "$dir/$1.crt $dir/$1.key"
}

new_key() { # NAME
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1.key" 2>"$work/log" ||
    fail "openssl could not make a key: $(cat "$work/log")"
}

# The subject is given in a file of our own, so that the machine's openssl.cnf adds nothing.
request_config() { # CN
  printf '[req]\nprompt = no\nstring_mask = utf8only\ndistinguished_name = dn\n[dn]\nCN = %s\n' "$1"
}

make_ca() {
  mkdir -p "$dir"
  must_be_free ca
  prepare
  new_key ca
  {
    request_config "edge-xray CA $(openssl rand -hex 4)"
    printf '[ext]\nbasicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\n'
    printf 'subjectKeyIdentifier = hash\n'
  } >"$work/config"
  openssl req -new -x509 -config "$work/config" -extensions ext -key "$work/ca.key" -sha256 -days "$CA_DAYS" \
    -out "$work/ca.crt"
  keep ca
}

make_leaf() { # NAME CN EXTENSION...
  local name=$1 cn=$2
  shift 2
  new_key "$name"
  request_config "$cn" >"$work/config"
  {
    printf 'basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n'
    printf 'subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n'
    printf '%s\n' "$@"
  } >"$work/extensions"
  openssl req -new -config "$work/config" -key "$work/$name.key" -sha256 -out "$work/request"
  openssl x509 -req -in "$work/request" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
    -sha256 -days "$LEAF_DAYS" -extfile "$work/extensions" -out "$work/$name.crt" 2>"$work/log" ||
    fail "openssl could not sign $name: $(cat "$work/log")"
  keep "$name"
}

alternative_names() { # HOST,HOST,...
  local host kind names=()
  local -a hosts
  IFS=, read -r -a hosts <<<"$1"
  for host in "${hosts[@]}"; do
    case $host in
      '' | *[!A-Za-z0-9.:-]*) misused "expected host names or addresses, separated by commas, got '$1'" ;;
      *:*) kind=IP ;;
      *[!0-9.]*) kind=DNS ;;
      *) kind=IP ;;
    esac
    names+=("$kind:$host")
  done
  (IFS=, && echo "${names[*]}")
}

make_server() { # HOST,HOST,...
  local names
  must_have_ca
  names=$(alternative_names "$1")
  must_be_free server
  prepare
  make_leaf server broker "subjectAltName = $names" "extendedKeyUsage = serverAuth"
}

make_clients() { # NAME...
  local name
  must_have_ca
  for name in "$@"; do
    [[ $name =~ $NAME && $name != ca && $name != server ]] || misused \
      "a NAME is 1 to 64 letters, digits, '.', '-' or '_', the first a letter or digit, not ca or server; got '$name'"
    must_be_free "$name"
  done
  prepare
  for name in "$@"; do
    make_leaf "$name" "$name" "extendedKeyUsage = clientAuth"
  done
}

command -v openssl >/dev/null || fail "openssl is needed; on Debian: apt-get install openssl"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  usage
  exit 0
fi
[[ $# -ge 2 && -n ${2:-} ]] || misused "expected a command and a folder"
command=$1 dir=$2
shift 2
# No `test && make || fail` here: inside such a chain bash would not stop at an error.
case $command/$# in
  ca/0) make_ca ;;
  server/1) make_server "$1" ;;
  client/0) misused "client takes a folder and at least one name" ;;
  client/*) make_clients "$@" ;;
  ca/*) misused "ca takes a folder and nothing else" ;;
  server/*) misused "server takes a folder and one list of hosts" ;;
  *) misused "unknown command '$command'" ;;
esac
