"""Folders of the demo: its sources, and the files that it makes."""

from pathlib import Path

from bulkhead_kind.paths import BUILD, REPOSITORY

DEMO = Path(__file__).resolve().parents[2]
"""`infra/demo`."""

CHART = DEMO / "chart"
PLATFORM_OVERLAY = DEMO / "platform.yaml"
"""The platform's values on top of those of `make up`."""

GROCER = REPOSITORY / "user_code" / "grocer"
LOCATIONS = ("ingestion", "analytics", "ml")
"""The code locations there, in the order of the flow."""

VENVS = BUILD / "venvs"

LAPTOP = BUILD / "demo"
"""All files of the demo without a cluster, with its data."""
