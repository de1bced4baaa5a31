locals {
  tier = "apps"
}

variable "dawarich_version" {
  default = "0.37.1"
}

resource "kubernetes_namespace" "dawarich" {
  metadata {
    name = "dawarich"
  }
}

resource "kubernetes_deployment" "dawarich" {
  metadata {
    name      = "dawarich"
    namespace = kubernetes_namespace.dawarich.metadata[0].name
    labels = {
      app  = "dawarich"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "dawarich"
      }
    }
    template {
      metadata {
        labels = {
          app = "dawarich"
        }
      }
      spec {
        container {
          name  = "dawarich"
          image = "freikin/dawarich:${var.dawarich_version}"
          port {
            container_port = 3000
          }
          resources {
            limits = {
              memory = "512Mi"
            }
          }
        }
        container {
          name  = "sidekiq"
          image = "freikin/dawarich:${var.dawarich_version}"
        }
      }
    }
  }
}
