# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Runs in the machine of ansible_machine_test.py, as root, after machine_steps.sh.
export HISTOCTL_TOKEN_FILE=/exchange/secrets/tokens HISTOCTL_SERVER=https://10.66.0.11:8080 XDG_CONFIG_HOME=/tmp/config
mkdir -p /tmp/config && echo 'cacert = "/exchange/secrets/ca.crt"' >/tmp/config/histoctl.toml
export ANSIBLE_NOCOLOR=1 ANSIBLE_CONFIG=/exchange/tree/deploy/ansible/ansible.cfg HISTOD_EVENTS_FILE=/exchange/events.jsonl
cd /exchange/tree/deploy/ansible || exit

# play LOG PLAYBOOK OPTION...: as on a node that is given the tree and the inventory.
play() {
  local log=/exchange/$1.log book=$2
  shift 2
  ansible-playbook "$book" --connection local --inventory /exchange/inventory --limit histo-01 "$@" >"$log" 2>&1 || {
    tail -n 60 "$log"
    return 1
  }
  grep '^histo-01 ' "$log"
}
unchanged() { grep -qE '^histo-01 .* changed=0 .* failed=0 ' "/exchange/$1.log"; }
same_after() {
  local before
  before=$(pid)
  play "$@"
  test "$(pid)" = "$before"
}

dry() {
  play dry systemd.yml --check --diff
  test ! -e /etc/zookeeper/zoo.cfg && test ! -e /etc/histod && test ! -e /etc/sysctl.d/60-histod.conf
}
first() {
  # As much is told as can be: nothing of it may be a secret.
  play first systemd.yml -vvv --diff
  refused unchanged first
}
second() {
  same_after second systemd.yml
  unchanged second
}
checked() {
  same_after checked systemd.yml --check --diff
  unchanged checked
  refused grep -E '^(\+\+\+|---) ' /exchange/checked.log
}
answers() {
  histoctl status
  histoctl equalize /exchange/image.pgm -o /tmp/equalized.pgm
  cmp /tmp/equalized.pgm /exchange/expected.pgm
  curl --silent --fail --cacert /exchange/secrets/ca.crt https://10.66.0.11:8080/ready
}
member() {
  histoctl cluster | tee /tmp/cluster
  grep -E '^zookeeper +CONNECTED .* 10\.66\.0\.11:2181' /tmp/cluster
  grep -E '^histo-01 +leader +https://10\.66\.0\.11:8080' /tmp/cluster
}
# ZooKeeper's own client, which is told the credential on its input.
ask() { java -cp /usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar org.apache.zookeeper.ZooKeeperMain -server 10.66.0.11:2181 2>&1; }
digests() {
  local credential
  ask <<<'ls /histod' | tee /tmp/nobody
  grep -F 'client failed to authenticate' /tmp/nobody
  printf 'addauth digest stranger:0123456789abcdef\nls /histod\n' | ask | tee /tmp/stranger
  grep -F 'Insufficient permission' /tmp/stranger
  set +x
  credential=$(cat /exchange/secrets/zookeeper-credential)
  printf 'addauth digest %s\ngetAcl /histod\nls /histod\n' "$credential" | ask | grep -vF "$credential" | tee /tmp/own
  set -x
  grep -F "'digest,'histod:" /tmp/own
  grep -F ': cdrwa' /tmp/own
}
metrics() {
  curl --silent --fail http://127.0.0.1:7000/commands/monitor | tee /tmp/metrics
  python3 -c 'import json; assert json.load(open("/tmp/metrics"))["server_state"] == "standalone"'
}
files() {
  test "$(stat --format %U:%G:%a /etc/histod/tokens /etc/histod/peer-token /etc/histod/zookeeper | sort -u)" = root:root:600
  test "$(stat --format %U:%G:%a /etc/histod/tls/tls.key)" = root:histod:640
  test "$(stat --format %U:%G:%a /var/lib/zookeeper)" = zookeeper:zookeeper:750
  test "$(stat --format %U:%G:%a /var/lib/histod)" = histod:histod:700
  test "$(cat /var/lib/zookeeper/myid)" = 1
  for unit in histod.socket histod.service zookeeper.service systemd-timesyncd.service; do systemctl is-enabled "$unit"; done
  grep -x 'autopurge.purgeInterval=1' /etc/zookeeper/zoo.cfg
}
confined() {
  local zookeeper
  zookeeper=$(systemctl show --property MainPID --value zookeeper.service)
  grep -x 'CapBnd:	0000000000000000' "/proc/$zookeeper/status"
  grep -x 'Seccomp:	2' "/proc/$zookeeper/status"
  systemd-analyze security --no-pager zookeeper.service | tail -n 1
}
# The words of the secrets occur nowhere but in their own files.
silent() {
  journalctl --no-pager --output cat >/exchange/journal
  set +x
  tr -s ' :\n' '\n' </exchange/secrets/tokens | cat - <(tr ':' '\n' </exchange/secrets/zookeeper-credential) | grep -E '^[0-9a-f]{32,}$' | sort -u >/tmp/words
  sed -n 2p /exchange/secrets/tls.key >>/tmp/words
  [ "$(wc -l </tmp/words)" = 4 ] || { echo "there should be four secrets" && exit 1; }
  if grep -lFf /tmp/words /exchange/*.log /exchange/events.jsonl /exchange/journal; then exit 1; fi
}
told() {
  histoctl events send --source ansible --file /exchange/events.jsonl --out /tmp/events.jsonl
  grep -c '"io.histod.rollout.ansible' /tmp/events.jsonl
}
drifted() {
  chmod 0644 /etc/histod/tokens
  echo 'autopurge.purgeInterval=0' >>/etc/zookeeper/zoo.cfg
  # Two files, and the restarts that they would bring.
  same_after drift systemd.yml --tags zookeeper,histod --check
  grep -E '^histo-01 .* changed=4 ' /exchange/drift.log
  test "$(stat --format %a /etc/histod/tokens)" = 644
  grep -x 'autopurge.purgeInterval=0' /etc/zookeeper/zoo.cfg
}
mended() {
  local before
  before=$(pid)
  play mended systemd.yml --tags zookeeper,histod --extra-vars '{"histod_systemd_options": {"max-pages": 7}}'
  test "$(stat --format %a /etc/histod/tokens)" = 600
  refused grep -x 'autopurge.purgeInterval=0' /etc/zookeeper/zoo.cfg
  grep -x 'max-pages = 7' /etc/histod/histod.toml
  test "$(pid)" != "$before"
  histoctl status
}
wrong() {
  local before
  before=$(pid)
  refused play wrong systemd.yml --tags histod --start-at-task 'Write options' --extra-vars '{"histod_systemd_options": {"max-pages": "many"}}'
  grep -F 'max-pages must be a whole number' /exchange/wrong.log
  grep -x 'max-pages = 7' /etc/histod/histod.toml
  test "$(pid)" = "$before"
  histoctl status
}
upgraded() {
  local before socket zookeeper wanted=(--tags histod --extra-vars "histod_systemd_package=/exchange/second.deb histod_host_cpus=$(cat /exchange/cpu) histod_host_other_cpus=0")
  before=$(pid)
  socket=$(systemctl show --property InvocationID --value histod.socket)
  zookeeper=$(systemctl show --property MainPID --value zookeeper.service)
  play upgraded systemd.yml "${wanted[@]}"
  test "$(pid)" != "$before"
  test "$(systemctl show --property InvocationID --value histod.socket)" = "$socket"
  test "$(systemctl show --property MainPID --value zookeeper.service)" = "$zookeeper"
  test "$(dpkg-query --show --showformat '${Version}' histod)" = "$(dpkg-deb --field /exchange/second.deb Version)"
  test "$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/"$(pid)"/task/*/status | sort -u)" = "$(cat /exchange/cpu)"
  test "$(systemctl show --property Slice --value histod.service)" = histod.slice
  grep -x 'AllowedCPUs=0' /etc/systemd/system/system.slice.d/60-histod-cpus.conf
  same_after upgraded_again systemd.yml "${wanted[@]}"
  unchanged upgraded_again
  member
}
alone() {
  play alone systemd.yml --tags histod --extra-vars '{"histod_systemd_zookeeper_hosts": []}'
  test ! -e /etc/systemd/system/histod.service.d/fleet.conf
  test ! -e /etc/systemd/system/histod.slice
  test "$(systemctl show --property Slice --value histod.service)" = system.slice
  histoctl status
}
ip address add 10.66.0.11/24 dev lo
for name in dry first second checked answers member digests metrics files confined silent told drifted mended wrong upgraded alone; do step $name $name; done
[ "$(grep -c FAILED /exchange/output)" = 0 ] || journalctl --unit histod.service --unit zookeeper.service --no-pager --output cat | tail -n 200
