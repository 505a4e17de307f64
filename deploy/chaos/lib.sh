# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the faults beside it: which fleet is meant, how a command gets to a node's machine, and that a fault ends.
# A fault defines `about` (for --help), `plan` (what it will do, what to watch), `begin_fault` and `end_fault`; the latter may be
# called when nothing was begun, and twice. `fault "$@"` does the rest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$(basename "$0")
ports=2181:2183 namespace=histod

say() { printf '%s: %s\n' "$name" "$*" >&2; }
refuse() {
  say "$*"
  exit 2
}

usage() {
  cat <<END
Usage: $name TARGET [options]

$(about)

It says what it will do and what to watch on the dashboard, does it, waits, and undoes it: after --for, or at Ctrl-C.

Targets, one of which must be named:
      --fleet DIR            a fleet of tools/fleet: its state folder (--state; /run/histod-fleet where none was named). Needs root
      --kubernetes CONTEXT   a cluster, by its context in kubectl's configuration; histod is in the namespace $namespace
      --ssh                  machines with histod under systemd: ssh NODE leads to each by its node name, and sudo there asks nothing

Options:
      --for SECONDS          how long it lasts (default $seconds)
      --undo                 only undo what a run left behind that was killed; with the same target and --node
      --node NAME            the node (default: $default_node)
      --server URL, --token-file FILE, --cacert FILE   whom to ask who leads, with --kubernetes or --ssh (default: histoctl's settings)
      --image IMAGE          for the pod that acts on a machine, with --kubernetes (default $image)
$(more_options)  -h, --help                 this text

Environment: HISTOCTL is the program (default: that of the release build, or on the PATH).
END
}
more_options() { :; }
more_option() { return 1; }

target='' fleet_dir='' context='' node='' undo='' connection=() seconds=60 default_node='the leader'
image=docker.io/library/zookeeper:3.9.5

take_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage && exit ;;
      --ssh) aim ssh ;;
      --undo) undo=1 ;;
      *)
        [ $# -ge 2 ] && [ -n "$2" ] || refuse "$1 is no option, or has no value (--help)"
        case $1 in
          --fleet) aim fleet && fleet_dir=$2 ;;
          --kubernetes) aim kubernetes && context=$2 ;;
          --node) node=$2 ;;
          --for) seconds=$2 ;;
          --image) image=$2 ;;
          --server | --token-file | --cacert) connection+=("$1" "$2") ;;
          *) more_option "$1" "$2" || refuse "$1 is no option (--help)" ;;
        esac
        shift
        ;;
    esac
    shift
  done
  [ -n "$target" ] || refuse "name the target: --fleet DIR, --kubernetes CONTEXT or --ssh (--help)"
  [[ $seconds =~ ^[0-9]+$ ]] || refuse "--for takes seconds, not $seconds"
  [[ $node =~ ^[A-Za-z0-9._-]*$ ]] && [[ $node != -* ]] || refuse "$node is no node's name"
}

aim() {
  [ -z "$target" ] || refuse "one target at a time (--help)"
  target=$1
}

need() { command -v "$1" >/dev/null || refuse "$1 is missing"; }

prepare_target() {
  case $target in
    fleet)
      [ "$(id -u)" = 0 ] || refuse "the nodes of tools/fleet are root's: run it with sudo"
      fleet status >/dev/null || refuse "no fleet is up in $fleet_dir: tools/fleet up starts one"
      ;;
    kubernetes)
      need kubectl
      kube get namespace "$namespace" --output name >/dev/null || refuse "the cluster of $context has no namespace $namespace, or does not answer"
      ;;
    ssh) need ssh ;;
  esac
  if [ -z "${HISTOCTL:-}" ]; then
    HISTOCTL=$here/../../build/release/bin/histoctl
    [ -x "$HISTOCTL" ] || HISTOCTL=$(command -v histoctl) || refuse "histoctl is missing: build it (tools/run), or name it with HISTOCTL"
  fi
}

fleet() { "$here/../../tools/fleet" "$1" --state "$fleet_dir" "${@:2}"; }
kube() { kubectl --context "$context" --namespace "$namespace" "$@"; }
read_json() { python3 -c "import json, sys; seen = json.load(sys.stdin); $1" "${@:2}"; }

# fleet_pid NAME: of a node or server of tools/fleet; empty when it has ended.
fleet_pid() {
  fleet status | read_json 'print(next((node["pid"] for node in seen["nodes"] if node["name"] == sys.argv[1] and node["lives"]), ""))' "$1"
}

# The fleet as a node that answers sees it, as JSON.
cluster() {
  local where=("${connection[@]}")
  if [ "$target" = fleet ]; then
    where=(--token-file "$fleet_dir/tokens" --server
      "$(fleet status | read_json 'print(next(node["url"] for node in seen["nodes"] if node["lives"] and node["members"]))')")
  fi
  # It exits with 1 when it has something to complain of, too.
  "$HISTOCTL" cluster --json "${where[@]}" || true
}
leader() { cluster | read_json 'print(seen["leader"]["name"] or "")' || true; }
worker() { cluster | read_json 'print(next((each["name"] for each in seen["members"] if not each["leader"]), ""))' || true; }

choose_node() {
  [ -z "$node" ] || return 0
  case $default_node in
    'the leader') node=$(leader) ;;
    *) node=$(worker) ;;
  esac
  [ -n "$node" ] || refuse "nobody says which node that would be ($default_node): name one with --node"
}

# in_node SCRIPT [WORD...]: runs it as root where the node is, its network included; $pid is the daemon there, "$@" are the words.
in_node() {
  local script pid
  script="set -eu; $(printf 'set --'; printf ' %q' "${@:2}")"$'\n'"$1"$'\n'
  case $target in
    fleet)
      pid=$(fleet_pid "$node")
      [ -n "$pid" ] || {
        say "$node has ended"
        return 1
      }
      nsenter --target "$pid" --net -- sh -s <<<"pid=$pid"$'\n'"$script"
      ;;
    # The script comes by the standard input, so that no quoting lies between here and there.
    ssh) ssh -o BatchMode=yes -- "$node" sudo -n sh -s <<<"pid=\$(pidof -s histod || true)"$'\n'"$script" ;;
    kubernetes)
      kube run "histod-chaos-$$-$RANDOM" --quiet --rm --stdin --restart=Never --image="$image" --overrides="$(pod)" \
        <<<"pid=\$(pidof -s histod || true)"$'\n'"$script"
      ;;
  esac
}

# On the machine itself: its processes, its network, its files.
pod() {
  cat <<END
{"spec": {"nodeName": "$node", "hostPID": true, "hostNetwork": true, "tolerations": [{"operator": "Exists"}],
  "containers": [{"name": "chaos", "image": "$image", "stdin": true, "stdinOnce": true, "command": ["chroot", "/host", "sh", "-s"],
    "securityContext": {"privileged": true, "runAsUser": 0}, "volumeMounts": [{"name": "host", "mountPath": "/host"}]}],
  "volumes": [{"name": "host", "hostPath": {"path": "/"}}]}}
END
}

finish() {
  local status=$?
  trap '' INT TERM HUP
  kill "${sleeper:-}" 2>/dev/null || true
  say "undoing"
  end_fault || {
    say "NOT UNDONE; again with: $0 --undo --node $node and the same target"
    exit 1
  }
  say "undone"
  exit $status
}

fault() {
  take_options "$@"
  prepare_target
  choose_node
  if [ -n "$undo" ]; then
    end_fault
    say "undone"
    return
  fi
  plan | sed "s/^/$name: /" >&2
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  begin_fault
  [ "$seconds" = 0 ] || say "done; it lasts for $seconds s, Ctrl-C ends it sooner"
  sleep "$seconds" &
  sleeper=$!
  wait $sleeper
}
