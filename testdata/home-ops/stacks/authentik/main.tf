locals {
  chart_version = "2026.2.2"
}

resource "helm_release" "authentik" {
  name       = "authentik"
  namespace  = "authentik"
  repository = "https://charts.goauthentik.io/"
  chart      = "authentik"
  version    = local.chart_version

  values = [templatefile("${path.module}/values.yaml.tftpl", { host = "auth.example.org" })]
}
