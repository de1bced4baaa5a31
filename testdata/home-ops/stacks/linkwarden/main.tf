variable "tls_secret_name" {}

locals {
  tier = "apps"
}

resource "kubernetes_namespace" "linkwarden" {
  metadata {
    name = "linkwarden"
  }
}

resource "kubernetes_deployment" "linkwarden" {
  metadata {
    name      = "linkwarden"
    namespace = kubernetes_namespace.linkwarden.metadata[0].name
    labels = {
      app  = "linkwarden"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "linkwarden"
      }
    }
    template {
      metadata {
        labels = {
          app = "linkwarden"
        }
      }
      spec {
        container {
          name  = "linkwarden"
          image = "linkwarden/linkwarden:v2.9.1"
          env {
            name  = "NEXTAUTH_URL"
            value = "https://links.example.org/api/v1/auth"
          }
          env {
            name  = "DATABASE_URL"
            value = "postgresql://linkwarden@pg-cluster-rw.dbaas/linkwarden"
          }
          port {
            container_port = 3000
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

resource "kubernetes_service" "linkwarden" {
  metadata {
    name      = "linkwarden"
    namespace = kubernetes_namespace.linkwarden.metadata[0].name
  }
  spec {
    selector = {
      app = "linkwarden"
    }
    port {
      port        = 80
      target_port = 3000
    }
  }
}

module "ingress" {
  source    = "../../modules/ingress"
  name      = "linkwarden"
  namespace = "linkwarden"
  host      = "links.example.org"
}
