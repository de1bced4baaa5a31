variable "name" { type = string }
variable "namespace" { type = string }
variable "container" {
  type = object({
    image   = string
    env     = optional(map(string), {})
    sidecar = optional(string, "busybox:1.37.0")
  })
}

resource "kubernetes_deployment_v1" "this" {
  metadata {
    name      = var.name
    namespace = var.namespace
  }
  spec {
    template {
      metadata {}
      spec {
        init_container {
          name  = "wait"
          image = var.container.sidecar
        }
        container {
          name  = var.name
          image = var.container.image
          dynamic "env" {
            for_each = var.container.env
            content {
              name  = env.key
              value = env.value
            }
          }
        }
      }
    }
  }
}
