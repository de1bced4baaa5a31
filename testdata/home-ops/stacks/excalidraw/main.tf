locals {
  tier = "apps"
}

resource "kubernetes_namespace" "excalidraw" {
  metadata {
    name = "excalidraw"
  }
}

resource "kubernetes_deployment" "excalidraw" {
  metadata {
    name      = "excalidraw"
    namespace = kubernetes_namespace.excalidraw.metadata[0].name
    labels = {
      app  = "excalidraw"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "excalidraw"
      }
    }
    template {
      metadata {
        labels = {
          app = "excalidraw"
        }
      }
      spec {
        container {
          name  = "excalidraw"
          image = "excalidraw/excalidraw:latest"
          port {
            container_port = 80
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
resource "kubernetes_deployment" "excalidraw_room" {
  metadata {
    name      = "excalidraw-room"
    namespace = kubernetes_namespace.excalidraw.metadata[0].name
    labels = {
      app  = "excalidraw-room"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "excalidraw-room"
      }
    }
    template {
      metadata {
        labels = {
          app = "excalidraw-room"
        }
      }
      spec {
        container {
          name  = "excalidraw-room"
          image = "excalidraw/excalidraw-room"
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
resource "kubernetes_deployment" "blog" {
  metadata {
    name      = "blog"
    namespace = kubernetes_namespace.excalidraw.metadata[0].name
    labels = {
      app  = "blog"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "blog"
      }
    }
    template {
      metadata {
        labels = {
          app = "blog"
        }
      }
      spec {
        container {
          name  = "blog"
          image = "registry.example.org/blog:1.4.0"
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
