# SPDX-License-Identifier: Apache-2.0
terraform {
  required_version = ">= 1.7"

  required_providers {
    maas = {
      source  = "canonical/maas"
      version = "~> 2.4"
    }
  }
}

# Address and key come from MAAS_API_URL and MAAS_API_KEY, so that the key is in no file and on no command line.
provider "maas" {}
