locals {
  tier = "apps"
}

resource "kubernetes_namespace" "freshrss" {
  metadata {
    name = "freshrss"
  }
}

resource "kubernetes_deployment" "freshrss" {
  metadata {
    name      = "freshrss"
    namespace = kubernetes_namespace.freshrss.metadata[0].name
    labels = {
      app  = "freshrss"
      tier = local.tier
    }
  }
  lifecycle {
    ignore_changes = [
      spec[0].template[0].spec[0].container[0].image,
      metadata[0].annotations,
    ]
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "freshrss"
      }
    }
    template {
      metadata {
        labels = {
          app = "freshrss"
        }
      }
      spec {
        container {
          name  = "freshrss"
          image = "freshrss/freshrss:1.26.0"
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
