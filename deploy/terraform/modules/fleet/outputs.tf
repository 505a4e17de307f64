# SPDX-License-Identifier: Apache-2.0
output "cloud_init" {
  description = "cloud-init's user data, by node"
  value       = local.cloud_init
}

output "private_ips" {
  description = "Address in the nodes' own network, by node"
  value       = local.private_ips
}

output "inventory" {
  description = "Ansible's inventory (YAML)"
  value       = local.inventory
}
