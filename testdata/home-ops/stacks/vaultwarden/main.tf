locals {
  tier = "apps"
}

resource "kubernetes_namespace" "vaultwarden" {
  metadata {
    name = "vaultwarden"
  }
}

# The image before the move to the new volume:
#   image = "vaultwarden/server:1.30.0"
/*
resource "kubernetes_deployment" "old" {
  image = "vaultwarden/server:1.28.0"
}
*/
resource "kubernetes_deployment" "vaultwarden" {
  metadata {
    name      = "vaultwarden"
    namespace = kubernetes_namespace.vaultwarden.metadata[0].name
    labels = {
      app  = "vaultwarden"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "vaultwarden"
      }
    }
    template {
      metadata {
        labels = {
          app = "vaultwarden"
        }
      }
      spec {
        container {
          name  = "vaultwarden"
          image = "vaultwarden/server:1.35.4" // web vault included
          env {
            name  = "SIGNUPS_ALLOWED"
            value = "false"
          }
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

resource "kubernetes_service" "vaultwarden" {
  metadata {
    name      = "vaultwarden"
    namespace = kubernetes_namespace.vaultwarden.metadata[0].name
  }
  spec {
    selector = {
      app = "vaultwarden"
    }
    port {
      port        = 80
      target_port = 80
    }
  }
}

// An image whose name begins with the one above, and is another one.
resource "kubernetes_cron_job_v1" "backup" {
  metadata {
    name      = "vaultwarden-backup"
    namespace = "vaultwarden"
  }
  spec {
    schedule = "0 3 * * *"
    job_template {
      metadata {}
      spec {
        template {
          metadata {}
          spec {
            container {
              name  = "backup"
              image = "vaultwarden/server-backup:1.35.4"
            }
          }
        }
      }
    }
  }
}
