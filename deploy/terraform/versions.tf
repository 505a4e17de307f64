# SPDX-License-Identifier: Apache-2.0
terraform {
  # 1.7: the tests replace the provider by a mock.
  required_version = ">= 1.7"

  required_providers {
    latitudesh = {
      source  = "latitudesh/latitudesh"
      version = "~> 4.0"
    }
  }
}

# The token comes from LATITUDESH_AUTH_TOKEN, so that it is in no file and on no command line.
provider "latitudesh" {}
