# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Runs in the machine of ansible_machine_test.py, as root, after machine_steps.sh. The cluster's programs are stand-ins: what is tested is
# what the playbook asks of them, and when.
export ANSIBLE_NOCOLOR=1 ANSIBLE_CONFIG=/exchange/tree/deploy/ansible/ansible.cfg
cd /exchange/tree/deploy/ansible || exit

# archive NAME PATH PROGRAM...: an archive in which the stand-in has these names.
archive() {
  local name=$1 path=$2 program
  shift 2
  rm -rf "/tmp/archive-$name" && mkdir -p "/tmp/archive-$name/$path"
  for program in "$@"; do install -m 0755 /exchange/stand-ins "/tmp/archive-$name/$path/$program"; done
  tar --create --gzip --file "/exchange/$name.tar.gz" --directory "/tmp/archive-$name" "${path%%/*}"
}
sum() { printf 'sha256:%s' "$(sha256sum "/exchange/$1" | cut -d ' ' -f 1)"; }
play() {
  local log=/exchange/$1.log
  shift
  ansible-playbook site.yml --connection local --inventory /exchange/inventory --limit histo-01 --skip-tags packages --extra-vars @/exchange/cluster.yml "$@" >"$log" 2>&1 || {
    tail -n 40 "$log"
    return 1
  }
  grep '^histo-01 ' "$log"
}

programs() {
  archive containerd bin containerd
  archive etcd etcd-v3.6.14-linux-amd64 etcdctl etcdutl
  mkdir -p /tmp/archive-cilium && install -m 0755 /exchange/stand-ins /tmp/archive-cilium/cilium
  tar --create --gzip --file /exchange/cilium.tar.gz --directory /tmp/archive-cilium cilium
  cp /exchange/stand-ins /exchange/runc
  for program in kubeadm kubectl; do install -m 0755 /exchange/stand-ins /usr/bin/$program; done
  printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/kubelet.service
  mkdir -p /exchange/gitops
  echo 'resources: []' >/exchange/gitops/kustomization.yaml
  echo '{}' >/exchange/install.yaml
  cat >/exchange/cluster.yml <<VARIABLES
containerd_source: archive
containerd_archive: file:///exchange/containerd.tar.gz
containerd_archive_checksum: $(sum containerd.tar.gz)
containerd_runc_version: 1.4.0
containerd_runc: file:///exchange/runc
containerd_runc_checksum: $(sum runc)
cni_cilium_cli_version: 0.19.0
cni_cilium_cli: file:///exchange/cilium.tar.gz
cni_cilium_cli_checksum: $(sum cilium.tar.gz)
etcd_backup_archive: file:///exchange/etcd.tar.gz
etcd_backup_checksum: $(sum etcd.tar.gz)
argocd_manifest: file:///exchange/install.yaml
argocd_checksum: $(sum install.yaml)
argocd_folder: /exchange/gitops
VARIABLES
  touch /exchange/calls
}
cluster() { play cluster; }
asked() {
  local word
  for word in 'kubeadm init --config /etc/kubernetes/cluster.yaml --skip-token-print' \
    'cilium --kubeconfig /etc/kubernetes/admin.conf install --version 1.20.1 --values /etc/kubernetes/cilium.yaml' \
    'kubectl --kubeconfig /etc/kubernetes/admin.conf label node histo-01 histod.io/engine=true --overwrite' \
    'kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace argocd apply --server-side --force-conflicts --filename /etc/kubernetes/argocd/install.yaml' \
    'kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace argocd apply --server-side --force-conflicts --kustomize /etc/kubernetes/argocd/histod'; do
    test "$(grep -cxF "$word" /exchange/calls)" = 1
  done
}
files() {
  cmp /var/lib/kubelet/seccomp/profiles/histod.json /exchange/tree/k8s/seccomp/histod.json
  test "$(stat --format %u:%g:%a /var/lib/histod /var/lib/histod-zookeeper | tr '\n' ' ')" = '65532:65532:700 0:0:700 '
  grep -x 'vm.nr_hugepages = 64' /etc/sysctl.d/60-histod-huge-pages.conf
  grep -x 'br_netfilter' /etc/modules-load.d/60-histod.conf
  test "$(cat /proc/sys/net/ipv4/ip_forward)" = 1
  test "$(systemctl show --property LimitMEMLOCK --value containerd.service)" = infinity
  test "$(stat --format %a /etc/kubernetes/cluster.yaml)" = 600
  test -x /usr/local/sbin/runc
  systemctl is-active containerd.service kubelet.service etcd-backup.timer
}
snapshot() {
  systemctl start etcd-backup.service
  test "$(find /var/lib/etcd-backup -name 'etcd-*Z.db' | wc -l)" = 1
}
again() {
  play again
  grep -E '^histo-01 .* changed=0 .* failed=0 ' /exchange/again.log
  play checked --check --diff
  grep -E '^histo-01 .* changed=0 .* failed=0 ' /exchange/checked.log
  asked
}
# kubelet's managers would not start with what they gave away before.
reservation() {
  refused play reservation --extra-vars kubeadm_kube_reserved_mb=2048
  grep -F 'kubeadm_reconfigure=true' /exchange/reservation.log
  grep -A 1 '^kubeReserved:' /etc/kubernetes/patches/kubeletconfiguration+merge.yaml | grep -F 1024Mi
}

for name in programs cluster asked files snapshot again reservation; do step $name $name; done
[ "$(grep -c FAILED /exchange/output)" = 0 ] || cat /exchange/calls
