# SPDX-License-Identifier: Apache-2.0
output "nodes" {
  description = "Where the nodes are"
  value = {
    for name, server in latitudesh_server.node : name => {
      id         = server.id
      public_ip  = server.primary_ipv4
      private_ip = module.fleet.private_ips[name]
    }
  }
}

output "vlan_id" {
  description = "The private network's VLAN id"
  value       = latitudesh_virtual_network.private.vid
}

output "inventory" {
  description = "Ansible's inventory (YAML); bin/apply writes it to a file"
  value       = module.fleet.inventory
}
