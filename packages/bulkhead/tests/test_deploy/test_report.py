"""The lines of a deploy."""

import json

from bulkhead.deploy.report import JsonReport, Report, TextReport


def play(report: Report) -> None:
    report.location("shop", "changed: 2 files")
    report.stage("shop", "image", "shop@sha256:1", 2.14)
    report.warning("shop", "loads", "Asset orders is gone.")
    report.failure("shop", "live", "It does not start.", "no port\nbye")
    report.state("shop", "Live is shop@sha256:0.")
    report.end("deployed 0 of 1 code location", failed=["shop"])


def test_lines_of_one_location_are_indented() -> None:
    lines: list[str] = []
    play(TextReport(["shop"], lines.append))
    assert lines == [
        "shop        changed: 2 files",
        "  ✓ image     shop@sha256:1  2.1 s",
        "  ! loads     Asset orders is gone.",
        "  ✗ live      It does not start.\n    Last output:\n      no port\n      bye",
        "    Live is shop@sha256:0.",
        "deployed 0 of 1 code location",
    ]


def test_lines_of_several_locations_begin_with_the_name() -> None:
    lines: list[str] = []
    play(TextReport(["shop", "ingestion"], lines.append))
    assert all(line.startswith("shop       ") for line in lines[:-1])


def test_machines_get_one_object_per_line() -> None:
    lines: list[str] = []
    play(JsonReport(lines.append))
    found = [json.loads(line) for line in lines]
    assert [each["kind"] for each in found] == [
        "location",
        "stage",
        "warning",
        "failure",
        "state",
        "end",
    ]
    assert found[1]["seconds"] == 2.14
    assert found[3]["output"] == "no port\nbye"
    assert found[-1]["failed"] == ["shop"]
