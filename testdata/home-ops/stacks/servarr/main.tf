locals {
  apps = {
    prowlarr    = { image = "lscr.io/linuxserver/prowlarr:1.37.0.5076-ls126", port = 9696 }
    qbittorrent = { image = "lscr.io/linuxserver/qbittorrent:5.1.2-r1-ls407", port = 8080 }
    readarr     = { image = "lscr.io/linuxserver/readarr:develop", port = 8787 }
  }
  sidecars = ["ghcr.io/acme/exporter:v1.2.0"]
}

resource "kubernetes_deployment" "app" {
  for_each = local.apps
  metadata {
    name      = each.key
    namespace = "servarr"
  }
  spec {
    template {
      metadata {}
      spec {
        dynamic "container" {
          for_each = local.sidecars
          content {
            name  = "exporter"
            image = container.value
          }
        }
        container {
          name  = each.key
          image = each.value.image
        }
      }
    }
  }
}
