locals {
  labels     = { "app.kubernetes.io/name" = "belay" }
  namespace  = kubernetes_namespace_v1.belay.metadata[0].name
  app_secret = var.app_secret == null ? "belay-app" : var.app_secret
  environment = merge(
    { BELAY_CREDENTIALS = "/run/belay", BELAY_CREDENTIALS_SECRET = "${local.namespace}/${local.app_secret}" },
    var.host == null ? {} : { BELAY_URL = "https://${var.host}" },
    var.database_secret == null ? {} : { BELAY_DATABASE_FILE = "/run/database/url" },
    var.settings, # last, so that a setting wins and no name is there twice
  )
}

resource "kubernetes_namespace_v1" "belay" {
  metadata {
    name = var.namespace
    labels = merge(local.labels, {
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    })
  }
}

resource "kubernetes_service_account_v1" "belay" {
  metadata {
    name      = "belay"
    namespace = local.namespace
    labels    = local.labels
  }
}

# Empty, until /setup fills it.
resource "kubernetes_secret_v1" "app" {
  count = var.app_secret == null ? 1 : 0
  metadata {
    name      = local.app_secret
    namespace = local.namespace
    labels    = local.labels
  }
  lifecycle {
    ignore_changes = [data, binary_data]
  }
}

resource "kubernetes_stateful_set_v1" "belay" {
  metadata {
    name      = "belay"
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    service_name           = "belay"
    replicas               = var.replicas
    pod_management_policy  = "OrderedReady"
    revision_history_limit = 10
    selector {
      match_labels = local.labels
    }
    template {
      metadata {
        labels = local.labels
      }
      spec {
        service_account_name             = kubernetes_service_account_v1.belay.metadata[0].name
        termination_grace_period_seconds = 40
        security_context {
          run_as_non_root        = true
          run_as_user            = 65532
          run_as_group           = 65532
          fs_group               = 65532
          fs_group_change_policy = "OnRootMismatch"
          seccomp_profile {
            type = "RuntimeDefault"
          }
        }
        container {
          name        = "belay"
          image       = var.image
          args        = ["serve"]
          working_dir = "/var/lib/belay"
          dynamic "env" {
            for_each = local.environment
            content {
              name  = env.key
              value = env.value
            }
          }
          env_from { # for settings and secrets that Terraform does not write
            config_map_ref {
              name     = "belay"
              optional = true
            }
          }
          env_from {
            secret_ref {
              name     = "belay"
              optional = true
            }
          }
          dynamic "env_from" {
            for_each = var.secrets
            content {
              secret_ref {
                name = env_from.value
              }
            }
          }
          port {
            name           = "http"
            container_port = 8080
          }
          startup_probe {
            http_get {
              path = "/healthz"
              port = "http"
            }
            period_seconds    = 2
            failure_threshold = 60
          }
          liveness_probe {
            http_get {
              path = "/healthz"
              port = "http"
            }
            period_seconds  = 20
            timeout_seconds = 5
          }
          readiness_probe {
            http_get {
              path = "/readyz"
              port = "http"
            }
            period_seconds  = 10
            timeout_seconds = 5
          }
          resources {
            requests = { cpu = "20m", memory = "128Mi" }
            limits   = { memory = "512Mi" }
          }
          security_context {
            allow_privilege_escalation = false
            read_only_root_filesystem  = true
            run_as_non_root            = true # the provider writes false where nothing is said
            capabilities {
              drop = ["ALL"]
            }
          }
          volume_mount {
            name       = "state"
            mount_path = "/var/lib/belay"
          }
          volume_mount {
            name       = "app"
            mount_path = "/run/belay"
            read_only  = true
          }
          volume_mount {
            name       = "tmp"
            mount_path = "/tmp"
          }
          dynamic "volume_mount" {
            for_each = var.database_secret[*]
            content {
              name       = "database"
              mount_path = "/run/database"
              read_only  = true
            }
          }
        }
        volume {
          name = "app"
          secret {
            secret_name  = local.app_secret
            optional     = true
            default_mode = "0440"
          }
        }
        volume {
          name = "tmp"
          empty_dir {
            size_limit = "1Gi"
          }
        }
        dynamic "volume" {
          for_each = var.database_secret[*]
          content {
            name = "database"
            secret {
              secret_name  = volume.value
              default_mode = "0440"
            }
          }
        }
      }
    }
    volume_claim_template {
      metadata {
        name = "state"
      }
      spec {
        access_modes       = ["ReadWriteOnce"]
        storage_class_name = var.storage_class
        resources {
          requests = { storage = var.storage }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [spec[0].volume_claim_template] # a StatefulSet's cannot be changed
    precondition {
      condition     = var.replicas == 1 || var.database_secret != null
      error_message = "SQLite is for one process: give database_secret, or set replicas to 1."
    }
  }
}

resource "kubernetes_service_v1" "belay" {
  metadata {
    name      = "belay"
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    selector = local.labels
    port {
      name        = "http"
      port        = 80
      target_port = "http"
    }
  }
}

resource "kubernetes_pod_disruption_budget_v1" "belay" {
  metadata {
    name      = "belay"
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    max_unavailable = 1
    selector {
      match_labels = local.labels
    }
  }
}

# Out: everywhere but to link-local addresses, where clouds hand out credentials.
resource "kubernetes_network_policy_v1" "belay" {
  metadata {
    name      = "belay"
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    policy_types = ["Ingress", "Egress"]
    pod_selector {
      match_labels = local.labels
    }
    ingress {
      ports {
        port     = "http"
        protocol = "TCP"
      }
    }
    egress {
      to {
        ip_block {
          cidr   = "0.0.0.0/0"
          except = ["169.254.0.0/16"]
        }
      }
      to {
        ip_block {
          cidr   = "::/0"
          except = ["fe80::/10"]
        }
      }
    }
    egress { # NodeLocal DNSCache
      to {
        ip_block {
          cidr = "169.254.0.0/16"
        }
      }
      ports {
        port     = "53"
        protocol = "UDP"
      }
      ports {
        port     = "53"
        protocol = "TCP"
      }
    }
  }
}

resource "kubernetes_ingress_v1" "belay" {
  count = var.host == null ? 0 : 1
  metadata {
    name        = "belay"
    namespace   = local.namespace
    labels      = local.labels
    annotations = var.ingress_annotations
  }
  spec {
    ingress_class_name = var.ingress_class
    rule {
      host = var.host
      http {
        path {
          path      = "/"
          path_type = "Prefix"
          backend {
            service {
              name = kubernetes_service_v1.belay.metadata[0].name
              port {
                name = "http"
              }
            }
          }
        }
      }
    }
    tls {
      hosts       = [var.host]
      secret_name = var.tls_secret
    }
  }
}
