locals {
  tier = "apps"
}

resource "kubernetes_namespace" "ollama" {
  metadata {
    name = "ollama"
  }
}

resource "kubernetes_deployment" "ollama" {
  metadata {
    name      = "ollama"
    namespace = kubernetes_namespace.ollama.metadata[0].name
    labels = {
      app  = "ollama"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "ollama"
      }
    }
    template {
      metadata {
        labels = {
          app = "ollama"
        }
      }
      spec {
        container {
          name  = "ollama"
          image = "ollama/ollama:${var.ollama_version}-rocm"
          port {
            container_port = 11434
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

resource "kubernetes_service" "ollama" {
  metadata {
    name      = "ollama"
    namespace = kubernetes_namespace.ollama.metadata[0].name
  }
  spec {
    selector = {
      app = "ollama"
    }
    port {
      port        = 80
      target_port = 11434
    }
  }
}
resource "kubernetes_namespace" "open_webui" {
  metadata {
    name = "open-webui"
  }
}

resource "kubernetes_deployment" "open_webui" {
  metadata {
    name      = "open-webui"
    namespace = kubernetes_namespace.open_webui.metadata[0].name
    labels = {
      app  = "open-webui"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "open-webui"
      }
    }
    template {
      metadata {
        labels = {
          app = "open-webui"
        }
      }
      spec {
        container {
          name  = "open-webui"
          image = "ghcr.io/open-webui/open-webui:v0.7.2"
          env {
            name  = "OLLAMA_BASE_URL"
            value = "http://ollama.ollama"
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

resource "kubernetes_service" "open_webui" {
  metadata {
    name      = "open-webui"
    namespace = kubernetes_namespace.open_webui.metadata[0].name
  }
  spec {
    selector = {
      app = "open-webui"
    }
    port {
      port        = 80
      target_port = 8080
    }
  }
}
