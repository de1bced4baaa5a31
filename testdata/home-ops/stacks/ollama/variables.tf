variable "ollama_version" {
  description = "Without the suffix: see gpu"
  type        = string
  default     = "0.9.6"
}

variable "gpu" {
  type    = bool
  default = true
}
