module "paperless" {
  source    = "../../modules/app"
  name      = "paperless-ngx"
  namespace = "paperless-ngx"
  image     = "ghcr.io/paperless-ngx/paperless-ngx"
}
