variable "immich_version" {
  type    = string
  default = "v2.7.4"   # server and machine learning move together
}

locals {
  tier = "apps"
}

resource "kubernetes_namespace" "immich" {
  metadata {
    name = "immich"
  }
}

resource "kubernetes_deployment" "immich_server" {
  metadata {
    name      = "immich-server"
    namespace = kubernetes_namespace.immich.metadata[0].name
    labels = {
      app  = "immich-server"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "immich-server"
      }
    }
    template {
      metadata {
        labels = {
          app = "immich-server"
        }
      }
      spec {
        container {
          name  = "immich-server"
          image = "ghcr.io/immich-app/immich-server:${var.immich_version}"
          port {
            container_port = 2283
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
resource "kubernetes_deployment" "immich_machine_learning" {
  metadata {
    name      = "immich-machine-learning"
    namespace = kubernetes_namespace.immich.metadata[0].name
    labels = {
      app  = "immich-machine-learning"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "immich-machine-learning"
      }
    }
    template {
      metadata {
        labels = {
          app = "immich-machine-learning"
        }
      }
      spec {
        container {
          name  = "immich-machine-learning"
          image = "ghcr.io/immich-app/immich-machine-learning:${var.immich_version}"
          port {
            container_port = 3003
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
resource "kubernetes_stateful_set_v1" "immich_postgres" {
  metadata {
    name      = "immich-postgres"
    namespace = kubernetes_namespace.immich.metadata[0].name
    labels = {
      app  = "immich-postgres"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "immich-postgres"
      }
    }
    template {
      metadata {
        labels = {
          app = "immich-postgres"
        }
      }
      spec {
        container {
          name  = "immich-postgres"
          image = "ghcr.io/immich-app/postgres:14-vectorchord0.4.3"
          port {
            container_port = 5432
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
