variable "name" { type = string }
variable "namespace" { type = string }
variable "image" { type = string }
variable "tag" {
  type    = string
  default = "2.16.4"
}
variable "env" {
  type    = map(string)
  default = {}
}

module "workload" {
  source    = "../workload"
  name      = var.name
  namespace = var.namespace
  container = {
    image = "${var.image}:${var.tag}"
    env   = var.env
  }
}
