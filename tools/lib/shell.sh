# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tools/run, tools/test and tools/check: steps with their time, logs, packages, builds.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tool=tools/$(basename "$0")
logs=$root/build/logs
cd "$root"

die() {
  printf '%s: %s\n' "$tool" "$*" >&2
  exit 1
}

if ! { mkdir -p "$logs" 2>/dev/null && [ -w "$logs" ]; }; then die "cannot write to $logs: whose is it? (ls -ld $root/build)"; fi

# step LOG TITLE COMMAND...: runs it with its output in build/logs/LOG.log. On failure one line says what and where;
# HISTOD_LOG_TAIL=N prints the last N lines of the log before it, for machines whose files nobody can open.
step() {
  local log=$logs/$1.log title=$2 started=$SECONDS status=0 first
  shift 2
  printf '%-44s ' "$title"
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  printf '%-6s %4d s\n' "$([ $status = 0 ] && echo ok || echo FAILED)" $((SECONDS - started))
  [ $status = 0 ] && return
  [ "${HISTOD_LOG_TAIL:-0}" = 0 ] || tail -n "$HISTOD_LOG_TAIL" "$log" | sed 's/^/    /'
  first=$(grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | grep -m1 -E '\berror\b|Error|^E:|ERR!|\*\*\*Failed|: tidy|^FAILED' | cut -c1-200 || true)
  die "$title: failed${first:+: $first} (log: $log)"
}

# packages SECTION...: the names in these sections of tools/packages.
packages() {
  local section
  for section in "$@"; do
    awk -v want="[$section]" '/^\[/ { on = ($0 == want); next } on && NF && $1 !~ /^#/ { print $1 }' "$root/tools/packages"
  done
}

node_is_new_enough() {
  command -v npm >/dev/null && [ "$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/')" -ge 18 ] 2>/dev/null
}

missing_packages() {
  local wanted have
  wanted=$(packages "$@" | sort -u)
  # Whatever node is here will do, Debian's or not.
  if node_is_new_enough; then wanted=$(grep -vxE 'nodejs|npm' <<<"$wanted") || true; fi
  # shellcheck disable=SC2086  # one word per package
  have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort -u) || true  # of an unknown name it says so and fails
  comm -23 <(printf '%s\n' "$wanted") <(printf '%s\n' "$have")
}

# As root. Debian starts a service when it installs one; nobody asked for an nginx on port 80.
apt_install() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
    # shellcheck disable=SC2064  # now, not at exit
    trap "rm -f $policy" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -o Acquire::Retries=3 update
  apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# install_packages SECTION...: installs by apt what is missing of them, if anything is.
install_packages() {
  local missing
  command -v dpkg-query >/dev/null || die "this needs Debian 12's apt; elsewhere install the like of: $(packages "$@" | tr '\n' ' ')"
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "${missing// /}" ] || return 0
  # shellcheck disable=SC2086  # one word per package
  if [ "$(id -u)" = 0 ]; then
    step apt "install $(wc -w <<<"$missing") packages" apt_install $missing
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
    step apt "install $(wc -w <<<"$missing") packages" sudo bash -c "set -e; $(declare -f apt_install); apt_install $missing"
  else
    die "not root and no sudo; as root: apt-get install --no-install-recommends $missing"
  fi
}

# How many compilers fit: one a CPU, and 1.5 GB for each.
jobs_max() {
  awk -v cpus="$(nproc)" '/^MemAvailable/ { n = int($2 / 1500000); print n < 1 ? 1 : (n < cpus ? n : cpus) }' /proc/meminfo
}

# build_preset PRESET "CMAKE OPTIONS" TARGET...: configures and builds; without targets, everything.
build_preset() {
  local preset=$1 options=$2
  shift 2
  if [ -z "${CCACHE_DIR:-}" ] && ! mkdir -p "${HOME:-/nonexistent}/.cache/ccache" 2>/dev/null; then
    export CCACHE_DIR=$root/build/.ccache
  fi
  # shellcheck disable=SC2086  # one word per option
  step "configure-$preset" "configure $preset" cmake --preset "$preset" $options
  [ $# = 0 ] || set -- --target "$@"
  step "build-$preset" "build $preset" cmake --build --preset "$preset" -j "$(jobs_max)" "$@"
}

# ctest_preset LOG TITLE PRESET ARGUMENTS...: all that ctest prints is in the log, its summary is kept for the end. One test more than
# there are CPUs at a time: many of them wait for sessions and servers.
summaries=() failed=0
ctest_preset() {
  local log=$1 title=$2 preset=$3 status=0
  shift 3
  (step "$log" "$title" ctest --preset "$preset" -j "$(($(nproc) + 1))" "$@") || status=$?
  # ctest's summary is the end of its log; what the failed tests said is somewhere before it.
  [ $status = 0 ] || grep -E -A 12 '^(FAIL|ERROR): |^not ok|: Failure$|^ERROR: [A-Za-z]+Sanitizer' "$logs/$log.log" | head -n "${HISTOD_LOG_TAIL:-0}" || true
  summaries+=("$title:" "$(sed -n '/tests passed/,$p' "$logs/$log.log")")
  # shellcheck disable=SC2034  # read by the caller
  [ $status = 0 ] || failed=1
}
