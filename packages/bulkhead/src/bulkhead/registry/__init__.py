"""An image registry over its HTTP API (https://github.com/opencontainers/distribution-spec).

| module | subject |
|---|---|
| `reference` | names of images: host, repository, tag, digest |
| `credentials` | the user and password for a host |
| `client` | reads, pushes and deletes images |
| `manifests` | manifests and configurations of images, of OCI and of Docker |
| `repository` | one repository over python-dxf, which knows the requests of the API |
| `retry` | waits for a registry that does not answer |
| `errors` | what a failed request means, and whether a retry can help |
"""
