variable "name" { type = string }
variable "namespace" { type = string }
variable "host" { type = string }

resource "kubernetes_ingress_v1" "ingress" {
  metadata {
    name      = var.name
    namespace = var.namespace
  }
  spec {
    ingress_class_name = "traefik"
    rule {
      host = var.host
      http {
        path {
          path = "/"
          backend {
            service {
              name = var.name
              port {
                number = 80
              }
            }
          }
        }
      }
    }
  }
}
