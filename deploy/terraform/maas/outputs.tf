# SPDX-License-Identifier: Apache-2.0
output "nodes" {
  description = "Where the nodes are"
  value       = { for name, machine in maas_instance.node : name => { id = machine.id, private_ip = local.addresses[name] } }
}

output "inventory" {
  description = "Ansible's inventory (YAML); bin/apply writes it to a file"
  value       = module.fleet.inventory
}
