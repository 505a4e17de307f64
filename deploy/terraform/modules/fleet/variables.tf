# SPDX-License-Identifier: Apache-2.0
variable "nodes" {
  description = "The nodes by name. host: number of the address in private_cidr, where this module gives addresses"
  type = map(object({
    host          = optional(number)
    control_plane = optional(bool, false)
    zookeeper_id  = optional(number)
  }))
  nullable = false

  validation {
    condition     = length(var.nodes) > 0
    error_message = "nodes is empty: a fleet has at least one node."
  }

  validation {
    condition     = alltrue([for name in keys(var.nodes) : can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "Every node's name is a DNS label of at most 32 characters (a-z, 0-9, - inside); this is not: ${join(", ", [for name in keys(var.nodes) : name if !can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name))])}."
  }

  validation {
    condition     = length([for node in values(var.nodes) : node if node.control_plane]) % 2 == 1
    error_message = "An odd number of nodes has control_plane = true (1 or 3), for etcd votes; here it is ${length([for node in values(var.nodes) : node if node.control_plane])}."
  }

  validation {
    condition     = length([for node in values(var.nodes) : node if node.zookeeper_id != null]) % 2 == 1
    error_message = "An odd number of nodes has a zookeeper_id (3, or 1 to try things), since an even one survives no more failures; here it is ${length([for node in values(var.nodes) : node if node.zookeeper_id != null])}."
  }

  validation {
    condition = (
      alltrue([for node in values(var.nodes) : node.zookeeper_id == null ? true : node.zookeeper_id >= 1 && node.zookeeper_id <= 255 && floor(node.zookeeper_id) == node.zookeeper_id])
      && length(distinct([for node in values(var.nodes) : node.zookeeper_id if node.zookeeper_id != null])) == length([for node in values(var.nodes) : node if node.zookeeper_id != null])
    )
    error_message = "Every zookeeper_id is a whole number from 1 to 255, and no two are alike."
  }

  validation {
    condition = (
      alltrue([for node in values(var.nodes) : node.host == null ? true : node.host >= 1 && floor(node.host) == node.host])
      && length(distinct([for node in values(var.nodes) : node.host if node.host != null])) == length([for node in values(var.nodes) : node if node.host != null])
    )
    error_message = "Every host is a whole number from 1 on, and no two are alike."
  }
}

variable "addresses" {
  description = "Address that Ansible connects to, by node"
  type        = map(string)
  nullable    = false
}

variable "ssh_public_keys" {
  description = "OpenSSH public keys by name"
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.ssh_public_keys) > 0
    error_message = "ssh_public_keys is empty: nobody could log in."
  }

  validation {
    condition     = alltrue([for key in values(var.ssh_public_keys) : can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\\.com|sk-ecdsa-sha2-nistp256@openssh\\.com) [A-Za-z0-9+/]+=*( [^\\n]*)?$", trimspace(key)))])
    error_message = "ssh_public_keys takes public keys, each on one line as in id_ed25519.pub; never a private one."
  }
}

variable "login_user" {
  description = "Who Ansible logs in as"
  type        = string

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,31}$", var.login_user)) && var.login_user != "root"
    error_message = "login_user is the name of a user that is not root."
  }
}

variable "private_cidr" {
  description = "The nodes' own network"
  type        = string

  validation {
    condition     = can(cidrnetmask(var.private_cidr)) && try(cidrhost(var.private_cidr, 0) == split("/", var.private_cidr)[0], false)
    error_message = "private_cidr is an IPv4 network, such as 10.66.0.0/24."
  }
}

variable "private_interface" {
  description = "Interface that carries the VLAN; null: found at start"
  type        = string
  default     = null
}

variable "vlan_id" {
  description = "The private network's VLAN; null: the network is there already, and cloud-init leaves it alone"
  type        = number
  default     = null
}

variable "hwe_kernel" {
  description = "Ubuntu 22.04's own kernel is too old for parts of io_uring: install the newer one and reboot"
  type        = bool
  default     = false
}
