#!/usr/bin/env bash
# Unpack an arm64 Python 3.11 with the agent's locked wheels, and two qemus to run it, into a folder. Nothing boots, nothing
# is installed, no root is needed; Debian or a relative is, for its packages and their keys. Called by `make test-arm64`.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ] || {
  echo "the packages come from this machine's own Debian sources, which must be those of bookworm" >&2; exit 1; }

folder=$(mkdir -p "${1:?which folder?}" && cd "$1" && pwd)
uv=${UV:-.venv/bin/uv}
python=${PYTHON:-.venv/bin/python}
faulty=2.1.6 # under qemu 7.2's default processor this one answers nonsense: what the golden vectors have to find
oldest=2.1.0 # of ai-edge-litert that is supported

# apt_get NAME OPTION... : apt-get with a state of its own that knows of no installed package.
apt_get() {
  local state=$folder/apt/$1; shift
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  touch "$state/status"
  apt-get -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::State::lists="$state/lists" \
    -o Dir::Cache="$state/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root -o Debug::NoLocking=true "$@"
}

# wheels TARGET OPTION... : unpack aarch64 wheels.
wheels() {
  "$uv" pip install --quiet --python "$python" --python-platform aarch64-manylinux_2_36 --python-version 3.11 \
    --only-binary :all: --target "$folder/$1" "${@:2}"
}

# only TARGET FILE PACKAGE: unpack one file of a package; the others are emulators of thirty other processors.
only() {
  mkdir -p "$folder/$1"
  dpkg-deb --fsys-tarfile "$3" | tar -x -C "$folder/$1" "$2"
}

if [ ! -e "$folder/root/.done" ]; then
  echo "unpacking Debian's arm64 Python 3.11"
  arm64=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64)
  apt_get arm64 "${arm64[@]}" update
  apt_get arm64 "${arm64[@]}" install --download-only --yes --no-install-recommends python3.11 libstdc++6
  for package in "$folder"/apt/arm64/cache/archives/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
  touch "$folder/root/.done"
fi

if [ ! -e "$folder/qemu-10/.done" ]; then
  echo "unpacking bookworm's qemu 7.2 and trixie's qemu 10"
  (cd "$folder" && apt_get native update && apt_get native download qemu-user-static)
  only qemu-7.2 ./usr/bin/qemu-aarch64-static "$folder"/qemu-user-static_*.deb
  archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' | sed -n 's/ bookworm main$//p' | head -1)
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$folder/apt/trixie"
  echo "deb [signed-by=$keys] $archive trixie main" >"$folder/apt/trixie/sources.list"
  trixie=(-o Dir::Etc::sourcelist="$folder/apt/trixie/sources.list" -o Dir::Etc::sourceparts=/dev/null)
  (cd "$folder" && apt_get trixie "${trixie[@]}" update && apt_get trixie "${trixie[@]}" download qemu-user)
  only qemu-10 ./usr/bin/qemu-aarch64 "$folder"/qemu-user_*.deb
  rm -f "$folder"/*.deb
  touch "$folder/qemu-10/.done"
fi

if [ ! -e "$folder/site/.done" ] || [ requirements/edge.lock -nt "$folder/site/.done" ]; then
  echo "unpacking the locked aarch64 wheels"
  rm -rf "$folder/site"
  wheels site --require-hashes --requirement requirements/edge.lock
  awk '/^[^ #]/ {wanted = /^tflite-runtime==/} wanted' requirements/dev.lock >"$folder/tflite.lock"
  wheels site --require-hashes --no-deps --requirement "$folder/tflite.lock"
  wheels site-faulty --no-deps "ai-edge-litert==$faulty"
  wheels site-oldest --no-deps "ai-edge-litert==$oldest"
  touch "$folder/site/.done"
fi
