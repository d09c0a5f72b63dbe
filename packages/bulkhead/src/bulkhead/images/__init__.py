"""The images of code locations: packages by an engine, everything else without one.

An image has three parts. Each has a tag in the repository of the code location:

- `lock-<key>`: the base image, a user, and the packages of requirements.lock in /opt/venv. An
  engine builds it (`packages`), again when the lock, the base image or the Dockerfile changes.
- `runtime-<key>`: that image and bulkhead (`library`). Made again when bulkhead changes.
- `tree-<key>`: that image and the team's code in /opt/code (`code`). Made again when the folder of
  the code location changes.

| module | subject |
|---|---|
| `image` | makes sure that the image of a code location is in the registry |
| `target` | where images are pushed to, and pulled from |
| `keys` | the keys of the three tags |
| `labels` | the labels of an image |
| `packages`, `engine` | the image with the packages, by docker, podman or BuildKit |
| `library`, `code` | the folders of the two other layers |
| `wheel`, `build_environment` | builds and installs a Python package for another machine |
| `bytecode` | compiles a folder for the Python of the image |
| `layer` | packs a folder into a layer; the same content gives the same bytes |
| `copying` | copies an image into the registry of another environment |
| `planning` | says what `image` would do |
| `prune` | removes images that nothing needs |
| `process` | runs a command; an error has its last output |
"""
