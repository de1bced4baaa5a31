resource "helm_release" "grafana" {
  name       = "grafana"
  namespace  = "monitoring"
  repository = "https://grafana.github.io/helm-charts"
  chart      = "grafana"
  version    = "9.4.4"

  set {
    name  = "image.tag"
    value = "12.1.1"
  }
  set {
    name  = "persistence.enabled"
    value = "true"
  }
}

resource "helm_release" "loki" {
  name       = "loki"
  namespace  = "monitoring"
  repository = "https://grafana.github.io/helm-charts"
  chart      = "loki"
  version    = "~> 6.30"
}
