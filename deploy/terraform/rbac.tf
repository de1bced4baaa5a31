# The rights are read from ../rbac.yaml, so that there is one list of them.
locals {
  documents = [for d in split("\n---\n", file("${path.module}/../rbac.yaml")) : yamldecode(d)]
  roles     = { for d in local.documents : d.metadata.name => d.rules if d.kind == "ClusterRole" }
  # Two steps, since && looks at both its sides before Terraform 1.12, and a role has no roleRef.
  bound = [for d in local.documents : d.roleRef.name if d.kind == "ClusterRoleBinding"]
  wide  = toset([for r in local.bound : r if var.restore_volumes || r != "belay-volumes"])
}

resource "kubernetes_cluster_role_v1" "belay" {
  for_each = local.roles
  metadata {
    name   = each.key
    labels = local.labels
  }
  dynamic "rule" {
    for_each = each.value
    content {
      api_groups = rule.value.apiGroups
      resources  = rule.value.resources
      verbs      = rule.value.verbs
    }
  }
}

resource "kubernetes_cluster_role_binding_v1" "belay" {
  for_each = local.wide
  metadata {
    name   = each.key
    labels = local.labels
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "ClusterRole"
    name      = kubernetes_cluster_role_v1.belay[each.key].metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = kubernetes_service_account_v1.belay.metadata[0].name
    namespace = local.namespace
  }
}

resource "kubernetes_role_binding_v1" "belay" {
  for_each = merge(
    { for n in var.backup_namespaces : "belay-backup/${n}" => { role = "belay-backup", namespace = n } },
    { for n in var.restore_namespaces : "belay-restore/${n}" => { role = "belay-restore", namespace = n } },
  )
  metadata {
    name      = each.value.role
    namespace = each.value.namespace
    labels    = local.labels
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "ClusterRole"
    name      = kubernetes_cluster_role_v1.belay[each.value.role].metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = kubernetes_service_account_v1.belay.metadata[0].name
    namespace = local.namespace
  }
}

# /setup may write the credentials of the GitHub App, and nothing else.
resource "kubernetes_role_v1" "setup" {
  count = var.app_secret == null ? 1 : 0
  metadata {
    name      = "belay-setup"
    namespace = local.namespace
    labels    = local.labels
  }
  rule {
    api_groups     = [""]
    resources      = ["secrets"]
    resource_names = [local.app_secret]
    verbs          = ["get", "update"]
  }
}

resource "kubernetes_role_binding_v1" "setup" {
  count = var.app_secret == null ? 1 : 0
  metadata {
    name      = "belay-setup"
    namespace = local.namespace
    labels    = local.labels
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role_v1.setup[0].metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = kubernetes_service_account_v1.belay.metadata[0].name
    namespace = local.namespace
  }
}
