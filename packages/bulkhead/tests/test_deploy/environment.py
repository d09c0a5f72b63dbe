"""An environment in small: an API server, Helm without a cluster, and a real image registry."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packages.bulkhead.tests.clone import Clone
from packages.bulkhead.tests.kube_store import KubeStore
from packages.bulkhead.tests.small_image import pushed

from bulkhead.deploy import live, sources
from bulkhead.deploy.helm import Helm, Release, Revision
from bulkhead.deploy.means import Means
from bulkhead.deploy.report import TextReport
from bulkhead.deploy.repository import Repository
from bulkhead.deploy.settings import Settings
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images import labels
from bulkhead.kube.api import KubernetesApi
from bulkhead.registry.client import Registry

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = ROOT / ".tools" / "helm"

VALUES = "definitions: {module: shop.definitions}\n"


class AppliedHelm(Helm):
    """Renders with Helm itself; a release is at once what the API server has, and live.

    If the name of the image is in `broken`, the Dagster UI reports an error of it.
    """

    def __init__(self, store: KubeStore) -> None:
        super().__init__(program=str(PROGRAM))
        self.revisions: list[Revision] = []
        self.releases: list[Release] = []
        self.deployments: list[Any] = []
        self.broken: set[str] = set()
        self._store = store
        self._images: dict[int, str] = {}

    def upgrade(self, release: Release, description: str) -> None:
        [deployment] = [each for each in self.render(release) if each["kind"] == "Deployment"]
        self.releases.append(release)
        self.deployments.append(deployment)
        containers = deployment["spec"]["template"]["spec"]["containers"]
        self.apply(release.name, release.namespace, containers[0]["image"], description)

    def rollback(self, name: str, namespace: str, revision: int) -> None:
        self.apply(name, namespace, self._images[revision], f"Rollback to {revision}")

    def history(self, name: str, namespace: str) -> list[Revision]:
        del name, namespace
        return list(self.revisions)

    def apply(self, name: str, namespace: str, image: str, description: str) -> None:
        older = [Revision(each.number, "superseded", each.description) for each in self.revisions]
        number = len(older) + 1
        self.revisions = [*older, Revision(number, "deployed", description)]
        self._images[number] = image
        make_live(self._store, name, namespace, image, error="bad" if image in self.broken else "")


def make_live(store: KubeStore, name: str, namespace: str, image: str, error: str = "") -> None:
    """Have the API server say that an image is rolled out and loaded."""
    containers = [{"image": image}]
    store.put(
        f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
        metadata={"generation": 1},
        spec={"replicas": 1, "template": {"spec": {"containers": containers}}},
        status={
            "observedGeneration": 1,
            "updatedReplicas": 1,
            "availableReplicas": 1,
            "replicas": 1,
        },
    )
    store.put(
        f"/api/v1/namespaces/{namespace}/pods/{name}-1",
        spec={"containers": containers},
        status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    )
    report = {
        "image": None if error else image,
        "error": error or None,
        "unreachable": False,
        "loading": False,
        "updated": time.time(),
        "checked": time.time(),
    }
    store.put(
        f"/api/v1/namespaces/{namespace}/configmaps/bulkhead-status",
        data={"webserver": json.dumps(report)},
    )


def register(store: KubeStore, namespace: str) -> None:
    """Have the platform know a code location, as its chart does."""
    store.put(f"/api/v1/namespaces/{namespace}/configmaps/bulkhead-location", data={})


@dataclass
class Environment:
    """One environment of the code location `shop`, with what it prints."""

    name: str
    store: KubeStore
    clone: Clone
    registry: Registry
    prefix: str
    folder: Path
    others: dict[str, Any] = field(default_factory=dict[str, Any])
    lines: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.helm = AppliedHelm(self.store)

    @property
    def repository(self) -> str:
        return f"{self.prefix}/shop"

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def settings(self, **others: Any) -> Settings:
        return Settings(
            **{
                "registry": f"registry.example/{self.prefix}",
                "push_to": f"{self.registry.host}/{self.prefix}",
                "chart": "chart",
                "live_seconds": 2,
                "namespace": f"bulkhead-{{location}}-{self.name}",
                **self.others,
                **others,
            }
        )

    def means(
        self, commit: str | None = None, api: KubernetesApi | None = None, **settings: Any
    ) -> Means:
        repository = Repository(self.clone.folder)
        return Means(
            api=api or self.store.api,
            helm=self.helm,
            repository=repository,
            settings=self.settings(**settings),
            report=TextReport(["shop"], self.lines.append),
            by="A Person",
            snapshot=(lambda: repository.at(commit)) if commit else repository.working_tree,
            environment=self.name,
        )

    def image(self, digest: str) -> str:
        """Return an image of shop as pods name it."""
        return f"registry.example/{self.repository}@{digest}"

    def push(
        self, *tags: str, commit: str | None = None, tree: str | None = None, name: str = "one"
    ) -> str:
        """Push an image of shop; return it as pods name it."""
        found = {labels.COMMIT: commit, labels.TREE: tree}
        given = {key: value for key, value in found.items() if value is not None}
        digest = pushed(self.registry, self.repository, self.folder, *tags, name=name, labels=given)
        return self.image(digest)

    @property
    def namespace(self) -> str:
        return f"bulkhead-shop-{self.name}"

    def targets(self) -> list[CodeFolder]:
        means = self.means()
        return sources.find(means.repository, means.snapshot(), means.settings)

    def live_image(self) -> str | None:
        server = live.code_server(self.store.api, self.namespace, "shop")
        return server.image if server else None

    def render(self, means: Means, target: CodeFolder) -> Any:
        """Return the Deployment that the values files of a folder give, without any others."""
        folder = self.clone.folder
        release = Release(
            name=target.name,
            namespace=target.namespace,
            chart=str(folder / means.settings.chart),
            chart_version=None,
            values=[folder / target.folder / each for each in means.settings.values],
            further_values={},
        )
        rendered = self.helm.render(release)
        [deployment] = [each for each in rendered if each["kind"] == "Deployment"]
        return deployment

    def variables(self) -> dict[str, str]:
        """Return the team's variables in the newest release."""
        [container] = self.helm.deployments[-1]["spec"]["template"]["spec"]["containers"]
        names = ("DAGSTER_", "BULKHEAD_")
        return {
            each["name"]: each["value"]
            for each in container["env"]
            if "value" in each and not each["name"].startswith(names)
        }


def write_shop(clone: Clone, files: Sequence[tuple[str, str]] = ()) -> str:
    """Commit the code location `shop` and its chart; return the commit."""
    clone.write("user_code/shop/pyproject.toml", "[project]\nname = 'shop'\n")
    clone.write("user_code/shop/requirements.lock", "dagster==1\n")
    clone.write("user_code/shop/values.yaml", VALUES)
    for path, text in files:
        clone.write(path, text)
    _copy_chart(clone.write)
    return clone.commit()


def _copy_chart(write: Callable[[str, str], Path]) -> None:
    chart = ROOT / "charts" / "code-location"
    for path in chart.rglob("*"):
        relative = path.relative_to(chart)
        if path.is_file() and "ci" not in relative.parts:
            write(f"chart/{relative}", path.read_text())


def tree_of(clone: Clone, commit: str = "HEAD") -> str:
    return clone.git("rev-parse", f"{commit}:user_code/shop")
