# docker buildx bake -f docker/docker-bake.hcl            from the root of the repository
#
# SEDNA_LIB=../sedna/lib  the lib directory of a KubeEdge Sedna checkout
# REPOSITORY=             in front of the names, with its slash, where the images are pushed to

variable "SEDNA_LIB" {
  default = "../sedna/lib"
}

variable "REPOSITORY" {
  default = ""
}

variable "VERSION" {
  default = "0.1.0"
}

group "default" {
  targets = ["cloud", "edge"]
}

target "worker" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  contexts = {
    sedna = SEDNA_LIB
  }
}

target "cloud" {
  inherits = ["worker"]
  target   = "cloud"
  tags     = ["${REPOSITORY}sedna-tinyms/cloud:${VERSION}"]
}

target "edge" {
  inherits = ["worker"]
  target   = "edge"
  tags     = ["${REPOSITORY}sedna-tinyms/edge:${VERSION}"]
}
