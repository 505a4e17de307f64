# SPDX-License-Identifier: Apache-2.0
variable "project" {
  description = "Latitude.sh project (id or slug) that pays for everything here"
  type        = string
  nullable    = false

  validation {
    condition     = trimspace(var.project) != ""
    error_message = "project is empty: name a Latitude.sh project by its id or slug."
  }
}

variable "nodes" {
  description = "The servers by name. host: number of the node's address in private_cidr; it never changes, since the operating system is installed with it. zookeeper_id: the node runs a ZooKeeper server of this id."
  type = map(object({
    host          = number
    control_plane = optional(bool, false)
    zookeeper_id  = optional(number)
    plan          = optional(string)
  }))
  nullable = false
  default = {
    histo-01 = { host = 11, control_plane = true, zookeeper_id = 1 }
    histo-02 = { host = 12, zookeeper_id = 2 }
    histo-03 = { host = 13, zookeeper_id = 3 }
  }
}

variable "plan" {
  description = "Kind of server, for nodes that name none themselves"
  type        = string
  default     = "c3-small-x86"

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)+$", var.plan))
    error_message = "plan is not the slug of a plan, such as c3-small-x86."
  }
}

variable "site" {
  description = "Where the servers stand; stock changes, so another site may be needed"
  type        = string
  default     = "NYC"

  validation {
    condition     = can(regex("^[A-Z]{2,4}[0-9]?$", var.site))
    error_message = "site is not the slug of a site in capitals, such as NYC or TYO4."
  }
}

variable "operating_system" {
  description = "What is installed: Ubuntu 24.04 for Kubernetes nodes, Debian 12 for nodes with systemd alone"
  type        = string
  default     = "ubuntu_24_04_x64_lts"

  validation {
    condition     = contains(["ubuntu_24_04_x64_lts", "ubuntu_22_04_x64_lts", "debian_12", "ipxe"], var.operating_system)
    error_message = "operating_system takes ubuntu_24_04_x64_lts, ubuntu_22_04_x64_lts, debian_12 or ipxe."
  }
}

variable "ipxe" {
  description = "With operating_system = \"ipxe\": URL of the script that is booted, for instance that of an own Tinkerbell"
  type        = string
  default     = null
}

variable "billing" {
  description = "hourly, monthly (charged in advance) or yearly"
  type        = string
  default     = "hourly"

  validation {
    condition     = contains(["hourly", "monthly", "yearly"], var.billing)
    error_message = "billing takes hourly, monthly or yearly."
  }
}

variable "locked" {
  description = "Locked servers can be neither destroyed nor changed until this is false again"
  type        = bool
  default     = false
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

variable "admin_cidrs" {
  description = "Networks that may reach SSH and the Kubernetes API"
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.admin_cidrs) > 0 && alltrue([for cidr in var.admin_cidrs : can(cidrhost(cidr, 0))])
    error_message = "admin_cidrs needs at least one network such as 198.51.100.0/24, and nothing else."
  }
}

variable "client_cidrs" {
  description = "Networks that may reach histod's port on the public addresses; none by default: it is then reached through SSH or kubectl port-forward"
  type        = list(string)
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0))])
    error_message = "client_cidrs takes networks such as 198.51.100.0/24."
  }
}

variable "client_port" {
  description = "histod's port, or the NodePort before it"
  type        = number
  default     = 8080

  validation {
    condition     = var.client_port >= 1 && var.client_port <= 65535 && floor(var.client_port) == var.client_port
    error_message = "client_port is not a port (1 to 65535)."
  }
}

variable "private_cidr" {
  description = "The nodes' own network, on the private VLAN"
  type        = string
  default     = "10.66.0.0/24"
}

variable "private_interface" {
  description = "Interface that carries the VLAN; null: the first one without a default route, else the one with it"
  type        = string
  default     = null

  validation {
    condition     = var.private_interface == null || can(regex("^[a-zA-Z0-9._-]{1,10}$", var.private_interface))
    error_message = "private_interface is not the name of a network interface (at most 10 characters)."
  }
}
