"""The history of a code location: a record of each deploy, in a ConfigMap of its namespace."""

import dataclasses
import json
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Literal, cast

from bulkhead import names
from bulkhead.kube import config_maps
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object, part

_KEY: Final = "records.json"
_KEPT: Final = 50
_LONGEST_REASON: Final = 400
_ATTEMPTS: Final = 5

Result = Literal["live", "failed"]


@dataclass(frozen=True, slots=True)
class Record:
    """One deploy.

    Attributes:
        at: When it began, in RFC 3339.
        by: Who deployed.
        action: What was called: `deploy`, `rollback` or `promote`.
        commit: The newest commit that changed the folder; None for a folder that is not committed.
        image: By digest; None if it was not built.
        result: Whether the image became live. If not, what was live before stayed live.
        reason: Why it did not.
        seconds: How long it took.
        revision: Helm's revision with this image; None if there was none.
    """

    at: str
    by: str
    action: str
    commit: str | None
    image: str | None
    result: Result
    reason: str | None
    seconds: float
    revision: int | None


def read(api: KubernetesApi, namespace: str, location: str) -> list[Record]:
    """Return the records of a code location, oldest first.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    return _records(config_maps.read(api, namespace, names.deploy_records(location)) or {})


def add(api: KubernetesApi, namespace: str, location: str, record: Record) -> None:
    """Write one more record; the oldest of more than 50 is removed.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    short = record.reason[:_LONGEST_REASON] if record.reason else None
    new = replace(record, reason=short)
    name = names.deploy_records(location)
    for attempt in range(_ATTEMPTS):
        before = config_maps.read(api, namespace, name)
        records = [asdict(each) for each in [*_records(before or {}), new][-_KEPT:]]
        content = {"data": {_KEY: json.dumps(records, indent=1)}}
        try:
            config_maps.write(
                api, namespace, name, location=location, before=before, content=content
            )
        except KubernetesApiError as error:
            if error.status != HTTPStatus.CONFLICT or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _records(config_map: Object) -> list[Record]:
    """Read the records; those of another version of this program are left out."""
    text = str(part(config_map, "data").get(_KEY) or "[]")
    try:
        found = cast("list[dict[str, Any]]", json.loads(text))
    except ValueError:
        return []
    fields = {field.name for field in dataclasses.fields(Record)}
    return [Record(**each) for each in found if each.keys() == fields]
