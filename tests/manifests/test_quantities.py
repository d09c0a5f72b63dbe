"""The chart and the library read every quantity that the chart's schema accepts as the same number.

Helm cannot call Python, so the chart bulkhead parses quantities in a template
(`_amounts.tpl`). Otherwise it could not compare a limit with a ceiling before the install.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from tests.manifests import render

from bulkhead.kube import quantities

if TYPE_CHECKING:
    from pathlib import Path

CPU = [
    *("1m", "9m", "50m", "100m", "250m", "999m", "1000m", "1001m", "1500m", "2500m", "128000m"),
    *("0", "1", "2", "16", "96", "0.1", "0.5", "0.75", "1.0", "1.5", "2.250", "0.001", "3.999"),
    *(1, 4, 0.5, 1.25),
]
"""Cores as the schema accepts them: strings, and numbers without quotes."""

MEMORY = [
    *("1k", "500k", "1M", "64M", "512M", "1G", "2G", "1.5G", "1T", "2.25T"),
    *("1Ki", "640Ki", "1Mi", "136Mi", "192Mi", "256Mi", "511Mi", "512Mi", "1024Mi", "1536Mi"),
    *("1Gi", "1.5Gi", "4Gi", "64Gi", "9.5Gi", "1.1Gi", "1Ti", "1.5Ti", "1000000000k"),
]
"""Bytes as the schema accepts them: always with a unit."""

TEMPLATE = """\
numbers:
{{- range .Values.quantities }}
  - {{ include "bulkhead.amount" . | float64 | printf "%.6f" | quote }}
{{- end }}
"""


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> list[Decimal]:
    """Each quantity of the tables as the chart's own template reads it."""
    chart = tmp_path_factory.mktemp("quantities")
    templates = chart / "templates"
    templates.mkdir()
    source = render.PLATFORM / "templates" / "code-locations" / "_amounts.tpl"
    (templates / source.name).write_text(source.read_text())
    (templates / "numbers.yaml").write_text(TEMPLATE)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: quantities\nversion: 0.1.0\n")
    (chart / "values.yaml").write_text(yaml.safe_dump({"quantities": [*CPU, *MEMORY]}))
    (rendered,) = render.render(render.Case(chart, chart / "values.yaml", "test", "test"))
    return [Decimal(number) for number in rendered["numbers"]]


def test_the_template_and_the_library_agree_on_every_quantity(numbers: list[Decimal]) -> None:
    table = [*CPU, *MEMORY]
    assert len(set(map(str, table))) >= 30
    assert dict(zip(table, numbers, strict=True)) == {
        each: quantities.parse(each) for each in table
    }


@pytest.mark.parametrize(("definition", "table"), [("cpu", CPU), ("memory", MEMORY)])
def test_the_schema_accepts_every_quantity_of_the_table(
    definition: str, table: list[str | float]
) -> None:
    schema = _schema(render.PLATFORM)["definitions"][definition]
    for each in table:
        jsonschema.validate(each, schema)


@pytest.mark.parametrize("suffix", ["P", "E", "Pi", "Ei", "n", "u", "e3", "E3"])
def test_the_schema_rejects_units_that_only_the_library_reads(suffix: str) -> None:
    quantity = f"1{suffix}"
    quantities.parse(quantity)
    for definition in ("cpu", "memory"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(quantity, _schema(render.PLATFORM)["definitions"][definition])


def _schema(chart: Path) -> dict[str, Any]:
    return json.loads((chart / "values.schema.json").read_text())
