locals {
  tier = "apps"
}

resource "kubernetes_namespace" "audiobookshelf" {
  metadata {
    name = "audiobookshelf"
  }
}

resource "kubernetes_deployment" "audiobookshelf" {
  metadata {
    name      = "audiobookshelf"
    namespace = kubernetes_namespace.audiobookshelf.metadata[0].name
    labels = {
      app  = "audiobookshelf"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "audiobookshelf"
      }
    }
    template {
      metadata {
        labels = {
          app = "audiobookshelf"
        }
      }
      spec {
        container {
          name  = "audiobookshelf"
          image = "ghcr.io/advplyr/audiobookshelf:2.32.1"
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

resource "kubernetes_service" "audiobookshelf" {
  metadata {
    name      = "audiobookshelf"
    namespace = kubernetes_namespace.audiobookshelf.metadata[0].name
  }
  spec {
    selector = {
      app = "audiobookshelf"
    }
    port {
      port        = 80
      target_port = 80
    }
  }
}
resource "kubernetes_namespace" "calibre" {
  metadata {
    name = "calibre"
  }
}

resource "kubernetes_deployment" "calibre" {
  metadata {
    name      = "calibre"
    namespace = kubernetes_namespace.calibre.metadata[0].name
    labels = {
      app  = "calibre"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "calibre"
      }
    }
    template {
      metadata {
        labels = {
          app = "calibre"
        }
      }
      spec {
        container {
          name  = "calibre"
          image = "lscr.io/linuxserver/calibre-web:0.6.24-ls338"
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

resource "kubernetes_service" "calibre" {
  metadata {
    name      = "calibre"
    namespace = kubernetes_namespace.calibre.metadata[0].name
  }
  spec {
    selector = {
      app = "calibre"
    }
    port {
      port        = 80
      target_port = 8083
    }
  }
}
