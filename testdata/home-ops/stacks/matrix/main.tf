locals {
  tier = "apps"
}

resource "kubernetes_namespace" "matrix" {
  metadata {
    name = "matrix"
  }
}

resource "kubernetes_deployment" "synapse" {
  metadata {
    name      = "synapse"
    namespace = kubernetes_namespace.matrix.metadata[0].name
    labels = {
      app  = "synapse"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "synapse"
      }
    }
    template {
      metadata {
        labels = {
          app = "synapse"
        }
      }
      spec {
        container {
          name  = "synapse"
          image = "matrixdotorg/synapse:v${local.synapse}"
          port {
            container_port = 8008
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

locals {
  synapse = "1.125.0"
}
