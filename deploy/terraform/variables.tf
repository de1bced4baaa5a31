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

  validation {
    condition     = var.host != ""
    error_message = "The host is empty: give a name such as belay.example.org, or null for no Ingress."
  }
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
  description = "Variables that are no secrets, such as BELAY_SLACK_CHANNEL. They win over those that the module sets."
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
    condition     = var.replicas >= 1 && floor(var.replicas) == var.replicas
    error_message = "At least one process has to run, and half a one cannot: give a whole number from 1."
  }
}

variable "storage" {
  description = "Size of the volume for SQLite and the mirrors of repositories. It applies at the first apply only."
  type        = string
  default     = "2Gi"

  validation {
    condition     = can(regex("^[0-9]+(\\.[0-9]+)?([EPTGMK]i|[EPTGMk])?$", var.storage)) # 2Gi, 1.5Ti, 500M
    error_message = "The storage is no size of Kubernetes: give one such as 2Gi or 500M."
  }
}

variable "storage_class" {
  description = "Storage class of the volume. Null is the cluster's default. It applies at the first apply only."
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
