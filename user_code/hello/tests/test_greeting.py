import pytest

from hello.greeting import hello_dagster


def test_the_greeting_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert hello_dagster.execute_in_process().success
    assert "Hello, dagster!" in capsys.readouterr().out
