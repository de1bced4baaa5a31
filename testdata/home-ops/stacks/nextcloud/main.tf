variable "chart" {
  type    = string
  default = "7.0.0"
}

resource "helm_release" "nextcloud" {
  name       = "nextcloud"
  namespace  = "nextcloud"
  repository = "https://nextcloud.github.io/helm/"
  chart      = "nextcloud"
  version    = var.chart

  values = [file("${path.module}/values.yaml")]
}
