include "root" {
  path = "${get_repo_root()}/live/root.hcl"
}

terraform {
  source = "../../modules//n8n"
}

inputs = {
  image_tag = "1.108.2"
}