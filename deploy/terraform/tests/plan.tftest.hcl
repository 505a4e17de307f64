# SPDX-License-Identifier: Apache-2.0
# What is made, with the provider's answers made up: nothing is asked of Latitude.sh.
mock_provider "latitudesh" {
  mock_resource "latitudesh_virtual_network" {
    defaults = { vid = 2042 }
  }
  mock_resource "latitudesh_server" {
    defaults = { primary_ipv4 = "203.0.113.7" }
  }
}

variables {
  project         = "histod-tests"
  admin_cidrs     = ["198.51.100.0/24", "192.0.2.4/32"]
  ssh_public_keys = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ ops@example.org" }
}

run "three_servers_by_default" {
  assert {
    condition     = keys(latitudesh_server.node) == ["histo-01", "histo-02", "histo-03"]
    error_message = "there are three nodes, by name"
  }
  assert {
    condition = alltrue([
      for name, server in latitudesh_server.node : server.hostname == name && server.plan == "c3-small-x86" && server.site == "NYC"
      && server.billing == "hourly" && server.operating_system == "ubuntu_24_04_x64_lts" && !server.allow_reinstall
    ])
    error_message = "each is a c3-small-x86 in NYC by the hour, and is never installed again by a plan"
  }
  assert {
    condition = alltrue([
      for name in keys(var.nodes) : latitudesh_server.node[name].user_data == latitudesh_user_data.node[name].id
      && latitudesh_server.node[name].ssh_keys == tolist([latitudesh_ssh_key.admin["ops"].id])
      && latitudesh_vlan_assignment.node[name].server_id == latitudesh_server.node[name].id
      && latitudesh_vlan_assignment.node[name].virtual_network_id == latitudesh_virtual_network.private.id
      && latitudesh_firewall_assignment.node[name].server_id == latitudesh_server.node[name].id
      && latitudesh_firewall_assignment.node[name].firewall_id == latitudesh_firewall.nodes.id
    ])
    error_message = "each has its own user data, the keys, the VLAN and the firewall"
  }
}

run "cloud_init_of_a_node" {
  assert {
    condition     = yamldecode(base64decode(latitudesh_user_data.node["histo-02"].content)).hostname == "histo-02"
    error_message = "the host name is the node's"
  }
  assert {
    condition     = yamldecode(base64decode(latitudesh_user_data.node["histo-02"].content)).users[0].ssh_authorized_keys == [var.ssh_public_keys["ops"]]
    error_message = "the keys may log in"
  }
  assert {
    condition     = length(regexall("type vlan id 2042\nip address replace 10\\.66\\.0\\.12/24 dev", yamldecode(base64decode(latitudesh_user_data.node["histo-02"].content)).write_files[0].content)) == 1
    error_message = "the node's own address is on the VLAN that was made"
  }
  assert {
    condition     = !contains(keys(yamldecode(base64decode(latitudesh_user_data.node["histo-02"].content))), "power_state")
    error_message = "Ubuntu 24.04 needs no other kernel, and no second boot"
  }
}

run "ubuntu_22_04_gets_the_newer_kernel" {
  variables {
    operating_system = "ubuntu_22_04_x64_lts"
  }
  assert {
    condition = (
      contains(yamldecode(base64decode(latitudesh_user_data.node["histo-01"].content)).packages, "linux-generic-hwe-22.04")
      && yamldecode(base64decode(latitudesh_user_data.node["histo-01"].content)).power_state.mode == "reboot"
    )
    error_message = "5.15 lacks parts of io_uring: the newer kernel is installed, and booted"
  }
}

run "the_inventory" {
  assert {
    condition     = yamldecode(output.inventory).all.children.histod.hosts["histo-03"] == { ansible_host = "203.0.113.7", ip = "10.66.0.13", access_ip = "10.66.0.13", zookeeper_id = 3 }
    error_message = "a node has its public and its private address and its ZooKeeper id"
  }
  assert {
    condition     = keys(yamldecode(output.inventory).all.children) == ["etcd", "histod", "kube_control_plane", "kube_node", "zookeeper"]
    error_message = "the groups are those of the playbooks"
  }
  assert {
    condition = (
      keys(yamldecode(output.inventory).all.children.kube_control_plane.hosts) == ["histo-01"]
      && keys(yamldecode(output.inventory).all.children.zookeeper.hosts) == ["histo-01", "histo-02", "histo-03"]
    )
    error_message = "the control plane is on the first node, ZooKeeper on all three"
  }
  assert {
    condition     = output.nodes["histo-01"].public_ip == "203.0.113.7" && output.nodes["histo-01"].private_ip == "10.66.0.11" && output.vlan_id == 2042
    error_message = "addresses and VLAN are outputs, too"
  }
}

run "the_firewall_is_closed_but_for_administrators" {
  assert {
    condition = (
      toset([for rule in latitudesh_firewall.nodes.rules : "${rule.from} ${rule.port}" if rule.from != "10.66.0.0/24"])
      == toset(["198.51.100.0/24 22", "198.51.100.0/24 6443", "192.0.2.4/32 22", "192.0.2.4/32 6443"])
    )
    error_message = "only SSH and the Kubernetes API, and only from admin_cidrs"
  }
  assert {
    condition     = alltrue([for rule in latitudesh_firewall.nodes.rules : contains(["TCP", "UDP"], rule.protocol)])
    error_message = "the provider takes protocols in capitals, and makes TCP of anything else"
  }
}

run "clients_reach_one_port" {
  variables {
    client_cidrs = ["192.0.2.0/24"]
    client_port  = 30080
  }
  assert {
    condition     = [for rule in latitudesh_firewall.nodes.rules : rule.port if rule.from == "192.0.2.0/24"] == ["30080"]
    error_message = "client_cidrs opens client_port, and nothing else"
  }
}

run "another_site_and_a_larger_fourth_node" {
  variables {
    site = "CHI"
    nodes = {
      histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
      histo-02 = { host = 12, zookeeper_id = 2 }
      histo-03 = { host = 13, zookeeper_id = 3 }
      large    = { host = 20, plan = "c3-large-x86" }
    }
  }
  assert {
    condition     = latitudesh_server.node["large"].plan == "c3-large-x86" && latitudesh_server.node["large"].site == "CHI" && latitudesh_virtual_network.private.site == "CHI"
    error_message = "plan by node, site for all, and the network where the servers are"
  }
  assert {
    condition     = !contains(keys(yamldecode(output.inventory).all.children.zookeeper.hosts), "large") && output.nodes["large"].private_ip == "10.66.0.20"
    error_message = "a node without zookeeper_id runs no ZooKeeper server"
  }
}

run "ipxe_boots_the_owned_path" {
  variables {
    operating_system = "ipxe"
    ipxe             = "http://198.51.100.9:7080/ipxe/script/auto.ipxe"
  }
  assert {
    condition     = latitudesh_server.node["histo-01"].ipxe == "http://198.51.100.9:7080/ipxe/script/auto.ipxe"
    error_message = "the script's address reaches the provider"
  }
}
