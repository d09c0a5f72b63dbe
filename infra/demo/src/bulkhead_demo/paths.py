"""Where the demo's sources are, and where it keeps what it makes."""

from pathlib import Path

from bulkhead_kind.paths import BUILD, REPOSITORY

DEMO = Path(__file__).resolve().parents[2]
"""`infra/demo`."""

CHART = DEMO / "chart"
PLATFORM_OVERLAY = DEMO / "platform.yaml"
"""What the platform's values are on top of those of `make up`."""

GROCER = REPOSITORY / "user_code" / "grocer"
LOCATIONS = ("ingestion", "analytics", "ml")
"""The code locations there, in the order of the flow."""

VENVS = BUILD / "venvs"

LAPTOP = BUILD / "demo"
"""All that the demo without a cluster keeps, its data included."""
