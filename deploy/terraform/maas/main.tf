# SPDX-License-Identifier: Apache-2.0
locals {
  prefix_length = split("/", var.private_cidr)[1]

  # A machine may have addresses in several networks.
  addresses = {
    for name, machine in maas_instance.node : name => try(sort([
      for address in machine.ip_addresses : address
      if try(cidrsubnet("${address}/${local.prefix_length}", 0, 0) == var.private_cidr, false)
    ])[0], null)
  }
}

module "fleet" {
  source = "../modules/fleet"

  nodes           = var.nodes
  addresses       = local.addresses
  ssh_public_keys = var.ssh_public_keys
  login_user      = var.login_user
  private_cidr    = var.private_cidr
  hwe_kernel      = false
}

resource "maas_instance" "node" {
  for_each = var.nodes

  allocate_params {
    hostname = each.key
    pool     = var.pool
    tags     = each.value.tags
  }

  deploy_params {
    distro_series = var.distro_series
    # MAAS installs the newer kernel itself, where Ubuntu 22.04's own is too old for parts of io_uring.
    hwe_kernel = var.distro_series == "jammy" ? "hwe-22.04" : null
    user_data  = module.fleet.cloud_init[each.key]
  }

  lifecycle {
    postcondition {
      condition     = anytrue([for address in self.ip_addresses : try(cidrsubnet("${address}/${split("/", var.private_cidr)[1]}", 0, 0) == var.private_cidr, false)])
      error_message = "${each.key} has no address in private_cidr: give one of its interfaces an address there in MAAS."
    }
  }
}
