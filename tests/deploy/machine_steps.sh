# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts that run in machines begin with. Each step prints `ok NAME` or `FAILED NAME`.
step() {
  local name=$1
  shift
  (
    set -ex
    "$@"
  )
  # Not `if`: there, -e would not end a step at its first failure.
  # shellcheck disable=SC2181
  if [ $? = 0 ]; then echo "ok $name"; else echo "FAILED $name"; fi
}
pid() { systemctl show --property MainPID --value histod.service; }
# Until the journal of this start of the machine has a line like this, after what there was before.
await_line() { grep -m 1 -q -- "$1" < <(exec timeout 60 journalctl --unit histod.service --follow --after-cursor="$cursor" --output cat); }
mark() { cursor=$(journalctl --unit histod.service --lines 1 --show-cursor --output cat | sed -n 's/^-- cursor: //p'); }
# A check in which nothing stops at the first failure but by &&.
refused() { if "$@"; then return 1; fi; }
