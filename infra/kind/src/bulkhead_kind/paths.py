"""Folders of sources (in git), and of what is made from them (not in git)."""

from pathlib import Path

KIND = Path(__file__).resolve().parents[2]
"""`infra/kind`."""

REPOSITORY = KIND.parents[1]
NODE_IMAGE = KIND / "node-image"
REGISTRY = KIND / "registry"

TOOLS = REPOSITORY / ".tools"
BUILD = REPOSITORY / "build"
LOGS = BUILD / "logs"
PRODUCTS = BUILD / "products"
KUBECONFIG = BUILD / "kubeconfig"
