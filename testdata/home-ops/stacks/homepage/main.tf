resource "helm_release" "homepage" {
  name      = "homepage"
  namespace = "homepage"
  chart     = "oci://ghcr.io/acme/charts/homepage"
  version   = "2.1.0"

  values = [<<-EOT
    image:
      repository: ghcr.io/gethomepage/homepage
      tag: v1.4.5
    config:
      title: "home"
    EOT
  ]
}
