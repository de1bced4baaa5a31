# One budget for each of us.
module "ada" {
  source    = "../../modules/app"
  name      = "budget-ada"
  namespace = "actualbudget"
  image     = "actualbudget/actual-server"
  tag       = "26.8.1"
}

module "grace" {
  source    = "../../modules/app"
  name      = "budget-grace"
  namespace = "actualbudget"
  image     = "actualbudget/actual-server"
  tag       = "26.7.0"   # waits for the plugin
}
