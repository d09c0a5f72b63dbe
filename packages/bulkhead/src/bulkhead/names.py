"""The names that the charts, the library, the images and the tests share.

`docs/design/contract.md` is the source of every name here; change it there first. This module
imports only the standard library and nothing of Bulkhead, so every other module may use it.
"""

import hashlib
import re
from typing import Final

# --- Kubernetes objects -------------------------------------------------------------------------
# One launcher serves every namespace, so these names do not depend on a release.

PLATFORM_NAMESPACE: Final = "bulkhead"
"""Default namespace and default release name of the platform."""

INSTANCE_CONFIG_MAP: Final = "bulkhead-instance"
INSTANCE_CONFIG_KEY: Final = "dagster.yaml"
LOCATION_CONFIG_MAP: Final = "bulkhead-location"
STATUS_CONFIG_MAP: Final = "bulkhead-status"
DATABASE_SECRET: Final = "bulkhead-database"  # noqa: S105 - the name of a Secret
OBJECT_STORE_SECRET: Final = "bulkhead-object-store"  # noqa: S105 - the name of a Secret

CODE_SERVER_SERVICE_ACCOUNT: Final = "bulkhead-code-server"
RUN_SERVICE_ACCOUNT: Final = "bulkhead-run"
STEP_SERVICE_ACCOUNT: Final = "bulkhead-step"

LAUNCHER_ROLE: Final = "bulkhead-launcher"
DISCOVERY_ROLE: Final = "bulkhead-discovery"
STATUS_ROLE: Final = "bulkhead-status"
RUN_ROLE: Final = "bulkhead-run"
DEPLOYER_ROLE: Final = "bulkhead-deployer"

DEPLOY_LEASE: Final = "bulkhead-deploy"
"""Name of the Lease that one deploy of a code location holds at a time."""

QUOTA: Final = "bulkhead"
"""Name of the ResourceQuota and of the LimitRange of each code location."""

REGISTRY_CONFIG_KEY: Final = "registry.yaml"

HTTP_PORT_NAME: Final = "http"
HTTP_PORT: Final = 3000
GRPC_PORT_NAME: Final = "grpc"
GRPC_PORT: Final = 3030
GRPC_HEALTH_SERVICE: Final = "DagsterApi"
DATABASE_PORT: Final = 5432
OBJECT_STORE_PORT: Final = 8333
WORKSPACE_SYNC_PORT: Final = 8081
RECONCILER_PORT: Final = 8082

# --- Labels and annotations ---------------------------------------------------------------------

CODE_LOCATION_LABEL: Final = "bulkhead.dev/code-location"
RUN_ID_LABEL: Final = "bulkhead.dev/run-id"
STEP_KEY_LABEL: Final = "bulkhead.dev/step-key"
STEP_KEY_ANNOTATION: Final = "bulkhead.dev/step-key"
IMAGE_ANNOTATION: Final = "bulkhead.dev/image"
COMMIT_ANNOTATION: Final = "bulkhead.dev/commit"
TREE_ANNOTATION: Final = "bulkhead.dev/tree"
DEPLOYED_BY_ANNOTATION: Final = "bulkhead.dev/deployed-by"
RETRIGGERED_ANNOTATION: Final = "bulkhead.dev/retriggered"
STEP_RESOURCES_TAG: Final = "bulkhead.dev/step-resources"

PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "bulkhead"

# --- Settings of a code location's pods (environment variables) ---------------------------------

CODE_LOCATION_ENV: Final = "BULKHEAD_CODE_LOCATION"
ENVIRONMENT_ENV: Final = "BULKHEAD_ENVIRONMENT"
CEILING_ENV: Final = "BULKHEAD_CEILING"
OBJECT_STORE_BUCKET_ENV: Final = "BULKHEAD_OBJECT_STORE_BUCKET"
OBJECT_STORE_PREFIX_ENV: Final = "BULKHEAD_OBJECT_STORE_PREFIX"
OBJECT_STORE_ENDPOINT_ENV: Final = "BULKHEAD_OBJECT_STORE_ENDPOINT"

DEFINITIONS_MODULE_ENV: Final = "BULKHEAD_DEFINITIONS_MODULE"
DEFINITIONS_PACKAGE_ENV: Final = "BULKHEAD_DEFINITIONS_PACKAGE"
DEFINITIONS_FILE_ENV: Final = "BULKHEAD_DEFINITIONS_FILE"
DEFINITIONS_ATTRIBUTE_ENV: Final = "BULKHEAD_DEFINITIONS_ATTRIBUTE"
DEFINITIONS_WORKING_DIRECTORY_ENV: Final = "BULKHEAD_DEFINITIONS_WORKING_DIRECTORY"

AWS_REGION_ENV: Final = "AWS_REGION"
AWS_REGION_DEFAULT: Final = "us-east-1"
AWS_ACCESS_KEY_ID_ENV: Final = "AWS_ACCESS_KEY_ID"
AWS_SECRET_ACCESS_KEY_ENV: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - a variable's name
DATABASE_USERNAME_ENV: Final = "DAGSTER_PG_USERNAME"
DATABASE_PASSWORD_ENV: Final = "DAGSTER_PG_PASSWORD"  # noqa: S105 - a variable's name

INSTANCE_SETTINGS_ENV: Final = "BULKHEAD_INSTANCE_SETTINGS"
DAGSTER_HOME_ENV: Final = "DAGSTER_HOME"
DAGSTER_HOME: Final = "/opt/dagster/home"
CURRENT_IMAGE_ENV: Final = "DAGSTER_CURRENT_IMAGE"
CONTAINER_CONTEXT_ENV: Final = "DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT"

# A Kubernetes label value: at most 63 characters, alphanumeric at both ends.
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def webserver(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the web server's Deployment, Service and service account."""
    return f"{release}-webserver"


def daemon(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the daemon's Deployment and service account."""
    return f"{release}-daemon"


def migrate(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the migration's service account."""
    return f"{release}-migrate"


def postgresql(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the in-cluster database's StatefulSet and Service."""
    return f"{release}-postgresql"


def object_store(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the in-cluster object store's StatefulSet and Service."""
    return f"{release}-object-store"


def registry(release: str = PLATFORM_NAMESPACE) -> str:
    """Return the name of the ConfigMap that registers the code locations."""
    return f"{release}-code-locations"


def deploy_records(location: str) -> str:
    """Return the name of the ConfigMap with the history of a code location's deploys."""
    return f"{location}-deploys"


def deploy_definitions(location: str) -> str:
    """Return the name of the ConfigMap with what the live image of a code location defines."""
    return f"{location}-definitions"


def label_value(step_key: str) -> str:
    """Return the step key as a Kubernetes label value.

    A key that is not a valid label value (too long, or with the brackets of a dynamic step) becomes
    `sha256-` and the first 40 hex digits of its SHA-256, so that a selector can still find it. The
    annotation `STEP_KEY_ANNOTATION` has the unchanged key.
    """
    if _LABEL_VALUE.fullmatch(step_key):
        return step_key
    return f"sha256-{hashlib.sha256(step_key.encode()).hexdigest()[:40]}"
