variable "domain" { type = string }
variable "image_tag" { type = string }

resource "kubernetes_deployment" "n8n" {
  metadata {
    name      = "n8n"
    namespace = "n8n"
  }
  spec {
    template {
      metadata {}
      spec {
        container {
          name  = "n8n"
          image = "docker.n8n.io/n8nio/n8n:${var.image_tag}"
          env {
            name  = "N8N_HOST"
            value = "n8n.${var.domain}"
          }
        }
      }
    }
  }
}
