# SPDX-License-Identifier: Apache-2.0
variable "nodes" {
  description = "Machines by their name in MAAS. zookeeper_id: the node runs a ZooKeeper server of this id. tags: only a machine that has all of them is taken"
  type = map(object({
    control_plane = optional(bool, false)
    zookeeper_id  = optional(number)
    tags          = optional(list(string), [])
  }))
  nullable = false
  default = {
    histo-01 = { control_plane = true, zookeeper_id = 1 }
    histo-02 = { zookeeper_id = 2 }
    histo-03 = { zookeeper_id = 3 }
  }
}

variable "distro_series" {
  description = "What is installed: noble (Ubuntu 24.04) or jammy (22.04)"
  type        = string
  default     = "noble"

  validation {
    condition     = contains(["noble", "jammy"], var.distro_series)
    error_message = "distro_series takes noble or jammy."
  }
}

variable "pool" {
  description = "MAAS resource pool that machines are taken from; null: any"
  type        = string
  default     = null
}

variable "ssh_public_keys" {
  description = "Who may log in: OpenSSH public keys by name"
  type        = map(string)
  nullable    = false
}

variable "login_user" {
  description = "Who Ansible logs in as; made by cloud-init, with sudo and without a password"
  type        = string
  default     = "histod-admin"
}

variable "private_cidr" {
  description = "The nodes' own network, a subnet that MAAS knows; of a machine's addresses the one in it is used"
  type        = string
}
