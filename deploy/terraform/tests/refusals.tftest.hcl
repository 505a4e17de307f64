# SPDX-License-Identifier: Apache-2.0
# What a plan refuses before anything is rented.
mock_provider "latitudesh" {}

variables {
  project         = "histod-tests"
  admin_cidrs     = ["198.51.100.0/24"]
  ssh_public_keys = { ops = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ ops@example.org" }
}

run "ipxe_without_a_script" {
  command = plan
  variables {
    operating_system = "ipxe"
  }
  expect_failures = [latitudesh_server.node]
}

run "a_script_without_ipxe" {
  command = plan
  variables {
    ipxe = "http://198.51.100.9/auto.ipxe"
  }
  expect_failures = [latitudesh_server.node]
}

# Terraform waits two seconds for each run that fails, so this one is wrong in every way at once; each must be found.
run "all_else_that_is_wrong" {
  command = plan
  variables {
    project           = " "
    operating_system  = "ubuntu_20_04_x64_lts"
    billing           = "weekly"
    site              = "nyc"
    plan              = "c3 small"
    admin_cidrs       = []
    client_cidrs      = ["everybody"]
    client_port       = 70000
    private_interface = "eno1; reboot"
  }
  expect_failures = [
    var.project, var.operating_system, var.billing, var.site, var.plan, var.admin_cidrs, var.client_cidrs, var.client_port, var.private_interface,
  ]
}
