locals {
  tier    = "infra"
  release = "v0.3.1"
}

data "http" "latest" {
  url = "https://releases.example.org/latest"
}

resource "kubernetes_namespace" "registry_cache" {
  metadata {
    name = "registry-cache"
  }
}

resource "kubernetes_deployment" "mirror" {
  metadata {
    name      = "mirror"
    namespace = kubernetes_namespace.registry-cache.metadata[0].name
    labels = {
      app  = "mirror"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "mirror"
      }
    }
    template {
      metadata {
        labels = {
          app = "mirror"
        }
      }
      spec {
        container {
          name  = "mirror"
          image = "ghcr.io/acme/mirror:${trimprefix(local.release, "v")}"
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
resource "kubernetes_deployment" "proxy" {
  metadata {
    name      = "proxy"
    namespace = kubernetes_namespace.registry-cache.metadata[0].name
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
          image = "ghcr.io/acme/proxy:${chomp(data.http.latest.response_body)}"
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

# Text that looks like an image and is none.
resource "kubernetes_config_map" "notes" {
  metadata {
    name = "notes"
  }
  data = {
    image = "vaultwarden/server:1.0.0"
    help  = "run docker pull shlinkio/shlink:4.0.0"
  }
}
