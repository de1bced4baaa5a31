locals {
  tier = "apps"	#	tabs
  x = ""
}

resource "kubernetes_namespace" "speedtest" {
  metadata {
    name = "speedtest"
  }
}

resource "kubernetes_deployment" "speedtest" {
  metadata {
    name      = "speedtest"
    namespace = kubernetes_namespace.speedtest.metadata[0].name
    labels = {
      app  = "speedtest"
      tier = local.tier
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = {
        app = "speedtest"
      }
    }
    template {
      metadata {
        labels = {
          app = "speedtest"
        }
      }
      spec {
        container {
          name  = "speedtest"
          image = "lscr.io/linuxserver/speedtest-tracker:1.6.9"   
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