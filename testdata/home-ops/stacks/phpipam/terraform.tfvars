phpipam_version = "v1.7.0"
