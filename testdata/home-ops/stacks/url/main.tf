locals {
  tier = "apps"
}

resource "kubernetes_namespace" "url" {
  metadata {
    name = "url"
  }
}

resource "kubernetes_deployment" "shlink" {
  metadata {
    name      = "shlink"
    namespace = kubernetes_namespace.url.metadata[0].name
    labels = {
      app  = "shlink"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "shlink"
      }
    }
    template {
      metadata {
        labels = {
          app = "shlink"
        }
      }
      spec {
        container {
          name  = "shlink"
          image = "shlinkio/shlink:4.3.4"
          env {
            name  = "DEFAULT_DOMAIN"
            value = "go.example.org"
          }
          env {
            name  = "DB_DRIVER"
            value = "mysql"
          }
          env {
            name  = "REDIRECT_APPEND_EXTRA_PATH"
            value = "true"
          }
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
resource "kubernetes_deployment" "shlink_web_client" {
  metadata {
    name      = "shlink-web-client"
    namespace = kubernetes_namespace.url.metadata[0].name
    labels = {
      app  = "shlink-web-client"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "shlink-web-client"
      }
    }
    template {
      metadata {
        labels = {
          app = "shlink-web-client"
        }
      }
      spec {
        container {
          name  = "shlink-web-client"
          image = "shlinkio/shlink-web-client:4.5.1"
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
