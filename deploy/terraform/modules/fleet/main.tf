# SPDX-License-Identifier: Apache-2.0
# No resources: what both the rented and the owned path need to know of a fleet.
locals {
  prefix_length = split("/", var.private_cidr)[1]

  # Where nobody gives private addresses, those that Ansible connects to are the nodes' own.
  private_ips = { for name, node in var.nodes : name => node.host == null ? var.addresses[name] : cidrhost(var.private_cidr, node.host) }

  private_network = var.vlan_id == null ? null : {
    for name, node in var.nodes : name => templatefile("${path.module}/private-network.sh.tftpl", {
      vlan_id   = var.vlan_id
      address   = "${cidrhost(var.private_cidr, node.host)}/${local.prefix_length}"
      interface = var.private_interface == null ? "" : var.private_interface
    })
  }

  cloud_init = {
    for name in keys(var.nodes) : name => templatefile("${path.module}/cloud-init.yaml.tftpl", {
      name            = name
      login_user      = var.login_user
      ssh_public_keys = [for key in sort(keys(var.ssh_public_keys)) : trimspace(var.ssh_public_keys[key])]
      hwe_kernel      = var.hwe_kernel
      private_network = try(local.private_network[name], "")
      unit            = file("${path.module}/histod-private-network.service")
    })
  }

  # Group names are those of Kubespray, so that its playbooks can be used instead.
  inventory = templatefile("${path.module}/inventory.yml.tftpl", {
    login_user = var.login_user
    hosts = {
      for name, node in var.nodes : name => {
        address      = var.addresses[name]
        private_ip   = local.private_ips[name]
        zookeeper_id = node.zookeeper_id
      }
    }
    control_plane = sort([for name, node in var.nodes : name if node.control_plane])
    zookeeper     = sort([for name, node in var.nodes : name if node.zookeeper_id != null])
  })
}
