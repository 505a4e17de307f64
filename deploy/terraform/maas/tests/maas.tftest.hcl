# SPDX-License-Identifier: Apache-2.0
# The same three nodes out of an own rack, with MAAS's answers made up.
mock_provider "maas" {
  mock_resource "maas_instance" {
    defaults = { ip_addresses = ["192.0.2.7", "10.66.0.7", "fe80::7"] }
  }
}

variables {
  ssh_public_keys = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ ops@example.org" }
  private_cidr    = "10.66.0.0/24"
}

run "three_machines" {
  assert {
    condition     = [for name, machine in maas_instance.node : machine.allocate_params[0].hostname] == ["histo-01", "histo-02", "histo-03"]
    error_message = "three machines, by the names that MAAS knows"
  }
  assert {
    condition     = alltrue([for machine in values(maas_instance.node) : machine.deploy_params[0].distro_series == "noble"])
    error_message = "Ubuntu 24.04 is installed"
  }
  assert {
    condition     = yamldecode(maas_instance.node["histo-02"].deploy_params[0].user_data).hostname == "histo-02" && !strcontains(maas_instance.node["histo-02"].deploy_params[0].user_data, "histod-private-network")
    error_message = "each has its own user data, without a network, which is MAAS's"
  }
}

run "the_inventory" {
  assert {
    condition     = yamldecode(output.inventory).all.children.histod.hosts["histo-01"] == { ansible_host = "10.66.0.7", ip = "10.66.0.7", access_ip = "10.66.0.7", zookeeper_id = 1 }
    error_message = "of a machine's addresses the one in private_cidr is used"
  }
}

run "tags_pool_and_kernel" {
  variables {
    pool          = "histod"
    distro_series = "jammy"
    nodes         = { rack-1 = { control_plane = true, zookeeper_id = 1, tags = ["nvme"] } }
  }
  assert {
    condition     = maas_instance.node["rack-1"].allocate_params[0].tags == toset(["nvme"]) && maas_instance.node["rack-1"].allocate_params[0].pool == "histod" && maas_instance.node["rack-1"].deploy_params[0].hwe_kernel == "hwe-22.04"
    error_message = "tags and pool choose the machine, and Ubuntu 22.04 gets the newer kernel"
  }
}

run "no_address_in_the_network" {
  variables {
    private_cidr = "10.77.0.0/24"
  }
  expect_failures = [maas_instance.node]
}

run "unknown_series" {
  command = plan
  variables {
    distro_series = "focal"
  }
  expect_failures = [var.distro_series]
}
