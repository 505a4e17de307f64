# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Runs in the machine of machine_test.py, as root, after machine_steps.sh.
export HISTOCTL_TOKEN_FILE=/exchange/tokens
units=/etc/systemd/system examples=/usr/share/doc/histod/examples

installed() {
  dpkg --install /exchange/first.deb
  refused systemctl is-enabled --quiet histod.socket
  refused systemctl is-active --quiet histod.socket
  test ! -e /etc/histod/tokens
  test "$(stat --format %U:%G:%a /etc/histod/tls)" = root:histod:750
}
no_token() {
  refused systemctl start histod.service
  grep -F 'AssertPathExists=/etc/histod/tokens was not met' <(systemctl status histod.service)
}
started() {
  install -m 0600 /exchange/tokens /etc/histod/tokens
  systemctl restart systemd-sysctl.service
  histod --config /etc/histod/histod.toml --token-file /etc/histod/tokens --check
  systemctl enable --now histod.socket histod.service
  test "$(systemctl show --property StatusText --value histod.service)" = serving
  systemctl status --no-pager histod.service
  histoctl status
}
credential() {
  test "$(stat --format %U:%a /run/credentials/histod.service/tokens)" = histod:400
  test "$(stat --format %U:%a /etc/histod/tokens)" = root:600
}
confined() {
  grep -x 'CapBnd:	0000000000000000' "/proc/$(pid)/status"
  grep -x 'NoNewPrivs:	1' "/proc/$(pid)/status"
  grep -x 'Seccomp:	2' "/proc/$(pid)/status"
  test "$(stat --format %U "/proc/$(pid)")" = histod
  systemd-analyze security --no-pager histod.service | tail -n 1
}
uring() {
  histoctl status >/tmp/status
  grep -E '^engine +io_uring' /tmp/status
  refused grep -E '^fallback .*(NUMA node|not pinned)' /tmp/status
}
equalized() {
  histoctl equalize /exchange/image.pgm -o "/tmp/$1.pgm"
  cmp "/tmp/$1.pgm" /exchange/expected.pgm
}
streamed() {
  histoctl stream set group --listen 239.255.0.1:5004 --interface 127.0.0.1 --sampling YCbCr-4:2:2 --depth 8 --size 64x48
  histoctl stream show group
  refused histoctl stream set other --listen 239.255.0.1:5006 --interface 192.0.2.77 --sampling YCbCr-4:2:2 --depth 8 --size 64x48
  histoctl stream remove group
}
pinned() {
  mkdir -p $units/histod.service.d
  sed "s/^CPUAffinity=.*/CPUAffinity=$(cat /exchange/cpu)/" $examples/cpu-affinity.conf >$units/histod.service.d/cpu-affinity.conf
  systemctl daemon-reload
  systemctl restart histod.service
  histoctl status
  test "$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/"$(pid)"/task/*/status | sort -u)" = "$(cat /exchange/cpu)"
}
activated() {
  local before
  before=$(pid)
  systemctl stop histod.service
  equalized activated
  test "$(pid)" != "$before"
}
restarted() {
  local n
  (for n in 1 2 3; do systemctl restart histod.service; done) &
  for n in $(seq 20); do equalized "restarted-$n"; done
  wait $!
}
watchdog() {
  printf '[Service]\nWatchdogSec=2\n' >$units/histod.service.d/watchdog.conf
  systemctl daemon-reload
  systemctl restart histod.service
  mark
  kill -STOP "$(pid)"
  await_line 'Watchdog timeout'
  equalized watchdog
  test "$(systemctl show --property NRestarts --value histod.service)" = 1
}
tokens_in_place() {
  local before
  cp $examples/tokens-in-place.conf $units/histod.service.d/
  chown histod: /etc/histod/tokens
  systemctl daemon-reload
  systemctl restart histod.service
  before=$(pid)
  mark
  install -m 0600 -o histod /exchange/tokens.new /etc/histod/tokens.new
  mv /etc/histod/tokens.new /etc/histod/tokens
  await_line 'tokens read again'
  refused histoctl status --retries 0
  cp /exchange/tokens.new /exchange/tokens
  histoctl status
  test "$(pid)" = "$before"
}
certificates() {
  local before https=(status --server https://127.0.0.1:8080 --retries 0)
  install -m 0640 -g histod /exchange/first.key /etc/histod/tls/tls.key
  install -m 0640 -g histod /exchange/first.crt /etc/histod/tls/tls.crt
  printf 'tls-cert = "/etc/histod/tls/tls.crt"\ntls-key = "/etc/histod/tls/tls.key"\n' >>/etc/histod/histod.toml
  systemctl restart histod.service
  before=$(pid)
  histoctl "${https[@]}" --cacert /exchange/first.crt
  mark
  install -m 0640 -g histod /exchange/second.key /etc/histod/tls/tls.key
  install -m 0640 -g histod /exchange/second.crt /etc/histod/tls/tls.crt
  systemctl reload histod.service
  await_line 'certificate read again'
  histoctl "${https[@]}" --cacert /exchange/second.crt
  refused histoctl "${https[@]}" --cacert /exchange/first.crt
  test "$(pid)" = "$before"
}
upgraded() {
  local before socket
  before=$(pid)
  socket=$(systemctl show --property InvocationID --value histod.socket)
  dpkg --install /exchange/second.deb </dev/null
  test "$(pid)" != "$before"
  test "$(systemctl show --property InvocationID --value histod.socket)" = "$socket"
  grep -q '^tls-cert' /etc/histod/histod.toml
  histoctl status --server https://127.0.0.1:8080 --cacert /exchange/second.crt
}
removed() {
  dpkg --remove histod
  refused systemctl is-active --quiet histod.service
  refused systemctl is-active --quiet histod.socket
  test -e /etc/histod/tokens && test -d /var/lib/histod/spool
}
purged() {
  dpkg --purge histod
  test ! -e /etc/histod && test ! -e /var/lib/histod
  test -z "$(find $units -name 'histod.*' -type l)"
}

for name in installed no_token started credential confined uring; do step $name $name; done
step equalized equalized first
for name in streamed pinned activated restarted watchdog tokens_in_place certificates upgraded removed purged; do step $name $name; done
[ "$(grep -c FAILED /exchange/output)" = 0 ] || journalctl --unit histod.service --no-pager --output cat
