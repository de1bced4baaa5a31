locals {
  tier  = "apps"
  repo  = "coturn/coturn"
  tag   = local.version
  version = "4.6.3-r1"
}

resource "kubernetes_namespace" "coturn" {
  metadata {
    name = "coturn"
  }
}

resource "kubernetes_deployment" "coturn" {
  metadata {
    name      = "coturn"
    namespace = kubernetes_namespace.coturn.metadata[0].name
    labels = {
      app  = "coturn"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "coturn"
      }
    }
    template {
      metadata {
        labels = {
          app = "coturn"
        }
      }
      spec {
        container {
          name  = "coturn"
          image = "${local.repo}:${local.tag}"
          port {
            container_port = 3478
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
