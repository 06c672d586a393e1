variable "REGISTRY" {
  default = "tidegate"
}

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "unknown"
}

# A release gives these with their digests (`…@sha256:…`); the Dockerfile stays as it is.
variable "RUST_IMAGE" {
  default = "rust:1.95-bookworm"
}

variable "RUNTIME_IMAGE" {
  default = "gcr.io/distroless/cc-debian12:nonroot"
}

group "default" {
  targets = ["service"]
}

target "service" {
  matrix = {
    service = ["ctl", "gateway", "issuance", "order-intake", "quota"]
  }
  name       = service
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
  target     = service
  tags       = ["${REGISTRY}/${service}:${VERSION}"]
  platforms  = ["linux/amd64", "linux/arm64"]
  contexts = {
    "rust:1.95-bookworm"                    = "docker-image://${RUST_IMAGE}"
    "gcr.io/distroless/cc-debian12:nonroot" = "docker-image://${RUNTIME_IMAGE}"
  }
  args = {
    VERSION  = VERSION
    REVISION = REVISION
  }
  attest = ["type=sbom", "type=provenance,mode=max"]
}
