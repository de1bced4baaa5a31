resource "helm_release" "traefik" {
  name       = "traefik"
  namespace  = "traefik"
  repository = "https://traefik.github.io/charts"
  chart      = "traefik"
  version    = "37.1.0"

  values = [
    yamlencode({
      image = {
        registry   = "docker.io"
        repository = "traefik"
        tag        = "v3.5.1"
      }
      deployment = { replicas = 2 }
    }),
  ]
}
