"""Helm 3 and Helm 4 make the same of the charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.manifests import render

if TYPE_CHECKING:
    from tests.manifests.render import Manifest


def _without_random(manifests: list[Manifest]) -> list[Manifest]:
    """Leave out what every render without a cluster makes anew: the content of Secrets."""
    return sorted(
        (
            {**each, "data": sorted(each["data"] or {})} if each["kind"] == "Secret" else each
            for each in manifests
        ),
        key=render.identity,
    )


def test_helm_3_and_helm_4_render_the_same(case: render.Case) -> None:
    assert _without_random(render.render(case, major=3)) == _without_random(render.rendered(case))
