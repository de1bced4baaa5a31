variable "phpipam_version" {
  type    = string
  default = "v1.6.0"
}

locals {
  tier = "apps"
}

resource "kubernetes_namespace" "phpipam" {
  metadata {
    name = "phpipam"
  }
}

resource "kubernetes_deployment" "phpipam_www" {
  metadata {
    name      = "phpipam-www"
    namespace = kubernetes_namespace.phpipam.metadata[0].name
    labels = {
      app  = "phpipam-www"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "phpipam-www"
      }
    }
    template {
      metadata {
        labels = {
          app = "phpipam-www"
        }
      }
      spec {
        container {
          name  = "phpipam-www"
          image = "phpipam/phpipam-www:${var.phpipam_version}"
          port {
            container_port = 8080
          }
          resources {
            limits = {
              memory = "512Mi"
            }
          }
        }
      }
    }
  }
}
resource "kubernetes_deployment" "phpipam_cron" {
  metadata {
    name      = "phpipam-cron"
    namespace = kubernetes_namespace.phpipam.metadata[0].name
    labels = {
      app  = "phpipam-cron"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "phpipam-cron"
      }
    }
    template {
      metadata {
        labels = {
          app = "phpipam-cron"
        }
      }
      spec {
        container {
          name  = "phpipam-cron"
          image = "phpipam/phpipam-cron:${var.phpipam_version}"
          port {
            container_port = 8080
          }
          resources {
            limits = {
              memory = "512Mi"
            }
          }
        }
      }
    }
  }
}
