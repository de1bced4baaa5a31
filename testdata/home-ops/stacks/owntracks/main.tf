locals {
  tier = "apps"
}

resource "kubernetes_namespace" "owntracks" {
  metadata {
    name = "owntracks"
  }
}

resource "kubernetes_deployment" "owntracks" {
  metadata {
    name      = "owntracks"
    namespace = kubernetes_namespace.owntracks.metadata[0].name
    labels = {
      app  = "owntracks"
      tier = local.tier
    }
    annotations = {
      "diun.enable"       = "true"
      "diun.include_tags" = "^\\d+\\.\\d+\\.\\d+$"
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "owntracks"
      }
    }
    template {
      metadata {
        labels = {
          app = "owntracks"
        }
      }
      spec {
        container {
          name  = "owntracks"
          image = "owntracks/recorder:0.9.9"
          port {
            container_port = 8083
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
