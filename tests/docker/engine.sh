#!/usr/bin/env bash
# A Docker engine for the tests where none runs: from the distribution's packages, with a base image made by debootstrap.
#
#   tests/docker/engine.sh with COMMAND...    start one, run COMMAND with DOCKER_HOST set, remove it; an engine that
#                                             answers already is used as it is
#   tests/docker/engine.sh start FOLDER       start one in FOLDER and leave it running; its socket is FOLDER/docker.sock
#   tests/docker/engine.sh stop FOLDER        end it and remove FOLDER
#
# Nothing is installed: the packages are unpacked into the engine's folder. Where no engine can be started, one line
# that begins with SKIPPED says why, and the exit code is 0. From then on every failure counts.
set -euo pipefail

BASE_IMAGE=python:3.11-slim-bookworm
ROOM_GB=12  # packages, base image, two builds of the image

skip() {
    echo "SKIPPED: $1"
    exit 0
}

engine_answers() {
    timeout 20 docker info >/dev/null 2>&1
}

# The folder's programs first; `docker` may be the machine's own.
use_tools_of() {
    local tools=$1/tools
    export PATH=$tools/usr/sbin:$tools/usr/bin:$tools/sbin:$PATH
    export DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap
    LIBRARIES=$tools/usr/lib/$(uname -m)-linux-gnu
}

get_packages() {
    local folder=$1
    mkdir -p "$folder/packages/partial" "$folder/tools"
    apt-get update -qq >/dev/null 2>&1 || return
    # Those that are installed are missing in the download; then the machine's own are used.
    apt-get install -qq -y --no-install-recommends --download-only -o "Dir::Cache::archives=$folder/packages" \
        docker.io debootstrap >/dev/null 2>&1 || return
    find "$folder/packages" -name '*.deb' -exec dpkg -x {} "$folder/tools" \;
}

# Started without a bridge and without packet filtering, which many sandboxes refuse: containers have the host's network or none.
start_daemon() {
    local folder=$1
    LD_LIBRARY_PATH=$LIBRARIES setsid dockerd --data-root "$folder/root" --exec-root "$folder/exec" \
        --pidfile "$folder/pid" --host "unix://$folder/docker.sock" --storage-driver overlay2 --bridge none \
        --iptables=false --ip6tables=false --ip-forward=false >"$folder/dockerd.log" 2>&1 </dev/null &
    local started=$!
    for _ in $(seq 120); do
        engine_answers && return
        kill -0 "$started" 2>/dev/null || return
        sleep 0.5
    done
    return 1
}

# What python:3.11-slim-bookworm holds, from the distribution's packages: the mirror and the certificates are this machine's.
make_base_image() {
    local folder=$1 mirror release certificates
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    certificates=/etc/ssl/certs/ca-certificates.crt
    mkdir -p "$folder/base/etc/dpkg/dpkg.cfg.d"
    echo force-unsafe-io >"$folder/base/etc/dpkg/dpkg.cfg.d/no-sync"  # a crash costs nothing here, and syncing minutes
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,libpython3-dev,ca-certificates \
        "$release" "$folder/base" "$mirror" >"$folder/debootstrap.log" 2>&1 || {
        tail -n 20 "$folder/debootstrap.log"
        return 1
    }
    rm -f "$folder"/base/usr/lib/python3.*/EXTERNALLY-MANAGED
    rm -rf "$folder"/base/var/cache/apt/archives/*.deb "$folder"/base/var/lib/apt/lists/*
    ln -sf python3 "$folder/base/usr/bin/python"
    cp "${SSL_CERT_FILE:-$certificates}" "$folder/base$certificates"
    tar -C "$folder/base" --exclude=./proc --exclude=./sys -c . |
        docker import -c "ENV PIP_CERT=$certificates" -c 'CMD ["python3"]' - "$BASE_IMAGE" >/dev/null
    rm -rf "$folder/base"
}

check_machine() {
    [ "$(id -u)" = 0 ] || skip "no Docker engine answers, and only root can start one"
    command -v apt-get >/dev/null || skip "no Docker engine answers, and there is no apt-get to fetch one with"
}

start() {
    local folder=$1
    mkdir -p "$folder"
    [ "$(df --output=avail -k "$folder" | tail -n 1)" -gt $((ROOM_GB * 1024 * 1024)) ] ||
        skip "no Docker engine answers, and one of our own needs $ROOM_GB GB in $folder"
    get_packages "$folder" || skip "no Docker engine answers, and apt-get cannot fetch docker.io and debootstrap"
    use_tools_of "$folder"
    export DOCKER_HOST=unix://$folder/docker.sock
    start_daemon "$folder" ||
        skip "no Docker engine can be started here: $(grep -v level=info "$folder/dockerd.log" | tail -n 1)"
    make_base_image "$folder"
}

stop() {
    local folder=$1
    if [ -f "$folder/pid" ]; then
        local pid
        pid=$(cat "$folder/pid")
        kill "$pid" 2>/dev/null || true  # it ends its containers
        for _ in $(seq 60); do
            [ -d "/proc/$pid" ] || break
            sleep 0.5
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    awk -v under="$folder/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l
    rm -rf "$folder"
}

with() {
    if ! engine_answers; then
        check_machine
        OWN=$(mktemp -d -t engine.XXXXXX)
        trap 'stop "$OWN"' EXIT
        trap 'exit 130' INT TERM
        start "$OWN"
    fi
    "$@"
}

case ${1:-} in
with)
    shift
    with "$@"
    ;;
start)
    check_machine
    start "$(realpath -m "$2")"
    echo "DOCKER_HOST=$DOCKER_HOST"
    ;;
stop) stop "$(realpath -m "$2")" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
