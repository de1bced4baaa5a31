locals {
  tier = "apps"
}

resource "kubernetes_namespace" "headscale" {
  metadata {
    name = "headscale"
  }
}

resource "kubernetes_deployment" "headscale" {
  metadata {
    name      = "headscale"
    namespace = kubernetes_namespace.headscale.metadata[0].name
    labels = {
      app  = "headscale"
      tier = local.tier
    }
    annotations = {
      "diun.enable" = "false"
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "headscale"
      }
    }
    template {
      metadata {
        labels = {
          app = "headscale"
        }
      }
      spec {
        container {
          name  = "headscale"
          image = "headscale/headscale:0.26.1"
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
resource "kubernetes_deployment" "headscale_ui" {
  metadata {
    name      = "headscale-ui"
    namespace = kubernetes_namespace.headscale.metadata[0].name
    labels = {
      app  = "headscale-ui"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "headscale-ui"
      }
    }
    template {
      metadata {
        labels = {
          app = "headscale-ui"
        }
      }
      spec {
        container {
          name  = "headscale-ui"
          image = "ghcr.io/gurucomputing/headscale-ui:2025.08.23" # belay:ignore the next one needs another API
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
