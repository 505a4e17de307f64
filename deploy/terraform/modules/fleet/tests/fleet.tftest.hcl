# SPDX-License-Identifier: Apache-2.0
# The fleet's own rules. There is no provider here: this runs anywhere.
variables {
  nodes = {
    histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
    histo-02 = { host = 12, zookeeper_id = 2 }
    histo-03 = { host = 13, zookeeper_id = 3 }
  }
  addresses       = { histo-01 = "203.0.113.1", histo-02 = "203.0.113.2", histo-03 = "203.0.113.3" }
  ssh_public_keys = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ ops@example.org" }
  login_user      = "histod-admin"
  private_cidr    = "10.66.0.0/24"
  vlan_id         = 7
}

run "a_good_fleet" {
  command = plan
  assert {
    condition     = output.private_ips == { histo-01 = "10.66.0.11", histo-02 = "10.66.0.12", histo-03 = "10.66.0.13" }
    error_message = "host is the number of the address in private_cidr"
  }
}

run "a_fleet_of_one" {
  command = plan
  variables {
    nodes     = { only = { host = 1, control_plane = true, zookeeper_id = 1 } }
    addresses = { only = "203.0.113.1" }
  }
  assert {
    condition     = output.private_ips == { only = "10.66.0.1" }
    error_message = "one node is a fleet"
  }
}

run "a_network_that_is_there_is_left_alone" {
  command = plan
  variables {
    nodes   = { histo-01 = { control_plane = true, zookeeper_id = 1 } }
    vlan_id = null
  }
  assert {
    condition     = !contains(keys(yamldecode(output.cloud_init["histo-01"])), "write_files") && output.private_ips["histo-01"] == "203.0.113.1"
    error_message = "without a VLAN cloud-init makes no network, and the address that is known is the node's own"
  }
}

run "text_cannot_leave_its_place" {
  command = plan
  variables {
    ssh_public_keys = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ it's \"mine\": yes #1" }
  }
  assert {
    condition     = yamldecode(output.cloud_init["histo-01"]).users[0].ssh_authorized_keys == ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ it's \"mine\": yes #1"]
    error_message = "a key's comment is text, whatever is in it"
  }
}

run "no_nodes" {
  command = plan
  variables {
    nodes     = {}
    addresses = {}
  }
  expect_failures = [var.nodes]
}

run "two_zookeeper_servers" {
  command = plan
  variables {
    nodes = {
      histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
      histo-02 = { host = 12, zookeeper_id = 2 }
      histo-03 = { host = 13 }
    }
  }
  expect_failures = [var.nodes]
}

run "two_control_planes" {
  command = plan
  variables {
    nodes = {
      histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
      histo-02 = { host = 12, control_plane = true, zookeeper_id = 2 }
      histo-03 = { host = 13, zookeeper_id = 3 }
    }
  }
  expect_failures = [var.nodes]
}

run "zookeeper_ids_alike" {
  command = plan
  variables {
    nodes = {
      histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
      histo-02 = { host = 12, zookeeper_id = 2 }
      histo-03 = { host = 13, zookeeper_id = 2 }
    }
  }
  expect_failures = [var.nodes]
}

run "zookeeper_id_256" {
  command = plan
  variables {
    nodes = { histo-01 = { host = 11, control_plane = true, zookeeper_id = 256 } }
  }
  expect_failures = [var.nodes]
}

run "hosts_alike" {
  command = plan
  variables {
    nodes = {
      histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
      histo-02 = { host = 11 }
    }
  }
  expect_failures = [var.nodes]
}

run "name_with_an_underscore" {
  command = plan
  variables {
    nodes = { histo_01 = { host = 11, control_plane = true, zookeeper_id = 1 } }
  }
  expect_failures = [var.nodes]
}

run "name_that_ends_with_a_hyphen" {
  command = plan
  variables {
    nodes = { histo- = { host = 11, control_plane = true, zookeeper_id = 1 } }
  }
  expect_failures = [var.nodes]
}

run "name_of_33_characters" {
  command = plan
  variables {
    nodes = { a23456789-123456789-123456789-123 = { host = 11, control_plane = true, zookeeper_id = 1 } }
  }
  expect_failures = [var.nodes]
}

run "nobody_could_log_in_as_root_and_an_address_is_no_network" {
  command = plan
  variables {
    ssh_public_keys = {}
    login_user      = "root"
    private_cidr    = "10.66.0.5/24"
  }
  expect_failures = [var.ssh_public_keys, var.login_user, var.private_cidr]
}

run "a_private_key_for_a_public_one" {
  command = plan
  variables {
    ssh_public_keys = { ops = "-----BEGIN OPENSSH PRIVATE KEY-----" }
  }
  expect_failures = [var.ssh_public_keys]
}
