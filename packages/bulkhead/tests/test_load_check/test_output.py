"""What people read of a pod's log: the last output, and where the code hangs."""

import pytest
from packages.bulkhead.tests.test_load_check.cluster import NAME, log_of

from bulkhead.deploy.load_check import output

TITLE = "Stack (most recent call first):\n"
VENV = "/opt/venv/lib/python3.11/site-packages"
LOADING = f"""\
  File "<frozen importlib._bootstrap>", line 1204 in _gcd_import
  File "/usr/local/lib/python3.11/importlib/__init__.py", line 126 in import_module
  File "{VENV}/bulkhead/code_location/target.py", line 81 in _import
  File "{VENV}/bulkhead/location.py", line 27 in <module>
  File "{VENV}/dagster/_core/code_pointer.py", line 137 in load_python_module
  File "{VENV}/dagster_shared/utils.py", line 7 in load
  File "{VENV}/bulkhead/code_location/report.py", line 83 in _content
  File "<frozen runpy>", line 88 in _run_code
"""


def frames(*lines: str) -> str:
    return TITLE + "".join(f"  File {line}\n" for line in lines) + LOADING


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        (
            frames(
                '"/usr/local/lib/python3.11/threading.py", line 327 in wait',
                f'"{VENV}/psycopg2/__init__.py", line 122 in connect',
                '"/opt/code/src/shop/warehouse.py", line 12 in open_warehouse',
                '"/opt/code/src/shop/definitions.py", line 3 in <module>',
            ),
            "open_warehouse (warehouse.py, line 12)",
        ),
        (
            frames('"/opt/code/src/shop/definitions.py", line 3 in <module>'),
            "definitions.py, line 3",
        ),
        (
            frames('"/opt/code/src/bulkhead/definitions.py", line 3 in <module>'),
            "definitions.py, line 3",
        ),
        (frames('"/opt/code/my folder/größe.py", line 3 in grüßen'), "grüßen (größe.py, line 3)"),
        # Code that is installed into the environment.
        (frames(f'"{VENV}/shop/definitions.py", line 3 in <module>'), "definitions.py, line 3"),
        (frames(), None),
        ("", None),
        ("garbled", None),
    ],
)
def test_the_place_is_the_line_of_the_team(stack: str, place: str | None) -> None:
    assert output.of_hang(stack, "", NAME).place == place


def test_the_stack_is_shown_once_without_the_framework_and_not_too_long() -> None:
    own = [f'"/opt/code/shop.py", line {number} in f{number}' for number in range(30)]
    stack = frames(*own)
    hang = output.of_hang(stack, log_of({"stack": stack}, f"connecting\n\n{stack}"), NAME)
    assert hang.last_output == "connecting\n\n" + TITLE + "\n".join(
        f"  File {line}" for line in own[:10]
    )


def test_without_a_stack_the_last_output_is_shown() -> None:
    assert output.of_hang("", "connecting\n", NAME) == (None, "connecting")


def test_the_last_output_is_the_end_without_the_report() -> None:
    printed = "".join(f"line {number}\n" for number in range(100))
    found = output.last_output(log_of({"summary": {}}, printed), NAME)
    assert found.splitlines() == [f"line {number}" for number in range(70, 100)]
    assert len(output.last_output(10_000 * "x", NAME)) == 4000
    assert output.last_output("", NAME) == ""
