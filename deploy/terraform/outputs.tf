output "namespace" {
  description = "Namespace that belay runs in, for the Secrets that it reads."
  value       = local.namespace
}

output "service" {
  description = "Address inside the cluster, for DIUN and Prometheus."
  value       = "http://${kubernetes_service_v1.belay.metadata[0].name}.${local.namespace}.svc"
}

output "setup" {
  description = "Where the GitHub App is created; the token is in belay's log."
  value       = var.host == null ? null : "https://${var.host}/setup"
}
