locals {
  domain = "example.org"
}

inputs = {
  domain = local.domain
}
