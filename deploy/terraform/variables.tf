variable "namespace" {
  description = "Namespace to create and run belay in."
  type        = string
  default     = "belay"
}

variable "image" {
  description = "belay's image, with its tag."
  type        = string
  default     = "ghcr.io/belaybot/belay:v0.1.0"
}

variable "host" {
  description = "Name under which GitHub and DIUN reach belay, for an Ingress. Null makes none."
  type        = string
  default     = null
}

variable "ingress_class" {
  description = "Class of the Ingress. Null is the cluster's default."
  type        = string
  default     = null
}

variable "tls_secret" {
  description = "Name of the Secret with the host's certificate. Null leaves TLS to the ingress controller."
  type        = string
  default     = null
}

variable "ingress_annotations" {
  description = "Annotations of the Ingress, such as cert-manager's."
  type        = map(string)
  default     = {}
}

variable "app_secret" {
  description = "Name of a Secret with app-id, app-key, webhook-secret and diun-token. Null makes an empty one, which /setup fills."
  type        = string
  default     = null
}

variable "secrets" {
  description = "Names of Secrets whose keys become variables, such as BELAY_SLACK_TOKEN."
  type        = list(string)
  default     = []
}

variable "settings" {
  description = "Variables that are no secrets, such as BELAY_SLACK_CHANNEL."
  type        = map(string)
  default     = {}
}

variable "database_secret" {
  description = "Name of a Secret with the key url, a postgres:// address. Null keeps the state in SQLite."
  type        = string
  default     = null
}

variable "replicas" {
  description = "How many processes run. More than one needs database_secret."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 1
    error_message = "At least one process has to run."
  }
}

variable "storage" {
  description = "Size of the volume for SQLite and the mirrors of repositories."
  type        = string
  default     = "2Gi"
}

variable "storage_class" {
  description = "Storage class of the volume. Null is the cluster's default."
  type        = string
  default     = null
}

variable "backup_namespaces" {
  description = "Namespaces with backups that belay.yml names."
  type        = set(string)
  default     = []
}

variable "restore_namespaces" {
  description = "Namespaces whose workloads a restore stops."
  type        = set(string)
  default     = []
}

variable "restore_volumes" {
  description = "Whether a restore may put a volume snapshot back, for which belay sets the reclaim policy of volumes. They are in no namespace."
  type        = bool
  default     = false
}
