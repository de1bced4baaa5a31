locals {
  tier = "apps"
}

resource "kubernetes_namespace" "onlyoffice" {
  metadata {
    name = "onlyoffice"
  }
}

resource "kubernetes_deployment" "onlyoffice" {
  metadata {
    name      = "onlyoffice"
    namespace = kubernetes_namespace.onlyoffice.metadata[0].name
    labels = {
      app  = "onlyoffice"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "onlyoffice"
      }
    }
    template {
      metadata {
        labels = {
          app = "onlyoffice"
        }
      }
      spec {
        container {
          name  = "onlyoffice"
          image = local.images["documentserver"]
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

locals {
  images = {
    documentserver = "onlyoffice/documentserver:8.2.3"
    proxy          = "nginx:1.29.3-alpine3.22"
  }
}
resource "kubernetes_deployment" "proxy" {
  metadata {
    name      = "proxy"
    namespace = kubernetes_namespace.onlyoffice.metadata[0].name
    labels = {
      app  = "proxy"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "proxy"
      }
    }
    template {
      metadata {
        labels = {
          app = "proxy"
        }
      }
      spec {
        container {
          name  = "proxy"
          image = local.images.proxy
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
