"""The JSON of a load report, and which reports of a ConfigMap count."""

import json
from dataclasses import replace

import pytest

from bulkhead import load_report
from bulkhead.load_report import LoadReport, LoadReportError, live_reports

LOADED = LoadReport(
    image="registry.example.com/hello@sha256:1",
    error=None,
    unreachable=False,
    loading=False,
    updated=1764328955.1,
    checked=1764328960.0,
    dependents={"shop/orders": ("ml", "reports")},
    taken={"model": "ml"},
    running_schedules=("nightly",),
    running_sensors=(),
)
ABSENT = LoadReport(
    image=None, error=None, unreachable=False, loading=False, updated=None, checked=1.0
)


@pytest.mark.parametrize("report", [LOADED, ABSENT], ids=["loaded", "absent"])
def test_a_report_is_read_as_it_was_written(report: LoadReport) -> None:
    assert LoadReport.of_json(report.to_json()) == report


def test_the_json_is_that_of_the_contract() -> None:
    assert json.loads(LOADED.to_json()) == {
        "image": "registry.example.com/hello@sha256:1",
        "error": None,
        "unreachable": False,
        "loading": False,
        "updated": 1764328955.1,
        "checked": 1764328960.0,
        "dependents": {"shop/orders": ["ml", "reports"]},
        "taken": {"model": "ml"},
        "running_schedules": ["nightly"],
        "running_sensors": [],
    }


def test_only_what_is_in_the_workspace_without_an_error_is_loaded() -> None:
    assert LOADED.is_loaded
    assert not ABSENT.is_loaded


def test_what_a_later_version_adds_is_ignored_and_what_it_does_not_know_is_unknown() -> None:
    fields = json.loads(ABSENT.to_json()) | {"added": [1]}
    for name in ("dependents", "taken", "running_schedules", "running_sensors"):
        del fields[name]
    assert LoadReport.of_json(json.dumps(fields)) == ABSENT


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '"x"', '{"image": null}', LOADED.to_json()[:-1]]
)
def test_a_text_that_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(LoadReportError, match="not a load report"):
        LoadReport.of_json(text)


def test_a_report_that_is_too_large_leaves_out_the_least_important_first() -> None:
    many = {f"asset-{number}": "ml" for number in range(20_000)}
    users = dict.fromkeys(many, ("ml",))
    large = replace(LOADED, taken=many)
    text = large.to_json()
    assert len(text.encode()) < load_report.LARGEST_BYTES
    found = LoadReport.of_json(text)
    assert found == replace(LOADED, taken=None)
    larger = LoadReport.of_json(replace(large, dependents=users).to_json())
    assert (larger.taken, larger.dependents, larger.image) == (None, None, LOADED.image)
    assert larger.running_schedules == ("nightly",)


def test_five_web_servers_fit_into_a_config_map() -> None:
    assert 5 * load_report.LARGEST_BYTES < 2**20


def test_an_error_with_characters_that_are_not_utf_8_is_written() -> None:
    report = replace(LOADED, error="no file \udcff")
    assert LoadReport.of_json(report.to_json().encode().decode()) == report


def test_a_web_server_that_renews_no_more_does_not_count() -> None:
    late = 1764328960.0 + load_report.LIVE_SECONDS
    reports = {
        "web-1": replace(LOADED, checked=late),
        "web-2": replace(LOADED, checked=late - load_report.RENEWAL_SECONDS - 20),
        "gone": replace(LOADED, checked=late - load_report.LIVE_SECONDS - 1),
    }
    data = {pod: report.to_json() for pod, report in reports.items()} | {"junk": "{}"}
    assert set(live_reports(data)) == {"web-1", "web-2"}
    assert set(live_reports({"gone": data["gone"]})) == {"gone"}
    assert live_reports({}) == {}
