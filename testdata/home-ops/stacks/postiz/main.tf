resource "kubectl_manifest" "postiz" {
  yaml_body = <<-YAML
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: postiz
      namespace: postiz
    spec:
      template:
        spec:
          containers:
            - name: postiz
              image: ghcr.io/gitroomhq/postiz-app:v1.60.1 # pinned by hand
  YAML
}
