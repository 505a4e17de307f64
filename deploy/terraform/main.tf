# SPDX-License-Identifier: Apache-2.0
module "fleet" {
  source = "./modules/fleet"

  nodes             = var.nodes
  ssh_public_keys   = var.ssh_public_keys
  login_user        = var.login_user
  private_cidr      = var.private_cidr
  private_interface = var.private_interface
  vlan_id           = latitudesh_virtual_network.private.vid
  hwe_kernel        = var.operating_system == "ubuntu_22_04_x64_lts"
  addresses         = { for name, server in latitudesh_server.node : name => server.primary_ipv4 }
}

resource "latitudesh_ssh_key" "admin" {
  for_each = var.ssh_public_keys

  name       = "histod-${each.key}"
  public_key = trimspace(each.value)
}

resource "latitudesh_virtual_network" "private" {
  description = "histod"
  site        = var.site
  project     = var.project
}

# One for each node: its private address is part of it.
resource "latitudesh_user_data" "node" {
  for_each = var.nodes

  description = "histod ${each.key}"
  content     = base64encode(module.fleet.cloud_init[each.key])
}

resource "latitudesh_server" "node" {
  for_each = var.nodes

  hostname         = each.key
  plan             = coalesce(each.value.plan, var.plan)
  site             = var.site
  project          = var.project
  operating_system = var.operating_system
  ipxe             = var.ipxe
  billing          = var.billing
  locked           = var.locked
  ssh_keys         = [for name in sort(keys(var.ssh_public_keys)) : latitudesh_ssh_key.admin[name].id]
  user_data        = latitudesh_user_data.node[each.key].id

  # A changed key or cloud-init is an error of the plan, not a disk that is wiped.
  allow_reinstall = false

  timeouts = {
    create = "45m"
    update = "60m"
  }

  lifecycle {
    precondition {
      condition     = (var.operating_system == "ipxe") == (var.ipxe != null)
      error_message = "operating_system = \"ipxe\" and ipxe = URL go together: set both or neither."
    }
  }
}

resource "latitudesh_vlan_assignment" "node" {
  for_each = var.nodes

  server_id          = latitudesh_server.node[each.key].id
  virtual_network_id = latitudesh_virtual_network.private.id
}

locals {
  admin_ports = { ssh = "22", kubernetes_api = "6443" }
  firewall_rules = concat(
    [for rule in setproduct(var.admin_cidrs, sort(values(local.admin_ports))) : { from = rule[0], port = rule[1], protocol = "TCP" }],
    [for cidr in var.client_cidrs : { from = cidr, port = tostring(var.client_port), protocol = "TCP" }],
    # Whether the provider's firewall sees the VLAN is not documented; if it does, nodes must reach one another.
    [for protocol in ["TCP", "UDP"] : { from = var.private_cidr, port = "1-65535", protocol = protocol }],
  )
}

resource "latitudesh_firewall" "nodes" {
  name    = "histod"
  project = var.project

  dynamic "rules" {
    for_each = local.firewall_rules
    content {
      from     = rules.value.from
      to       = "ANY"
      port     = rules.value.port
      protocol = rules.value.protocol
    }
  }
}

resource "latitudesh_firewall_assignment" "node" {
  for_each = var.nodes

  firewall_id = latitudesh_firewall.nodes.id
  server_id   = latitudesh_server.node[each.key].id
}
