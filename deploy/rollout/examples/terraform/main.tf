# SPDX-License-Identifier: Apache-2.0
# A rollout of nothing: three "nodes" that are made by a shell, and one that fails. No provider is downloaded.
terraform {
  required_version = ">= 1.6"
}

variable "nodes" {
  type    = set(string)
  default = ["histo-01", "histo-02", "histo-03"]
}

variable "join_token" {
  description = "stands for a secret that a provisioner prints"
  type        = string
  default     = "abcdef.0123456789abcdef"
}

resource "terraform_data" "node" {
  for_each = var.nodes
  input    = each.key

  provisioner "local-exec" {
    command = "echo preparing ${each.key}; sleep 1; echo join with --token ${var.join_token}"
  }
}

resource "terraform_data" "spare" {
  depends_on = [terraform_data.node]

  provisioner "local-exec" {
    command = "echo token=${var.join_token}; echo no spare machine is left >&2; exit 3"
  }
}

output "nodes" {
  value = [for node in terraform_data.node : node.output]
}
