"""Settings of deploys: precedence, and what a wrong one says."""

import pytest

from bulkhead.deploy import settings
from bulkhead.deploy.settings import SettingsError

FULL = """
[deploy]
registry = "registry.example.com/data"
locations = ["user_code/*"]

[environments.staging]
context = "staging"

[environments.production]
registry = "registry.example.com/production"
strict = true
"""


def test_an_environment_takes_precedence_over_deploy() -> None:
    staging = settings.read({"a": FULL}, environment="staging")
    production = settings.read({"a": FULL}, environment="production")
    assert (staging.context, staging.registry, staging.strict) == (
        "staging",
        "registry.example.com/data",
        False,
    )
    assert (production.context, production.registry, production.strict) == (
        None,
        "registry.example.com/production",
        True,
    )


def test_a_later_file_and_then_an_option_take_precedence() -> None:
    second = '[deploy]\nregistry = "localhost:5000/data"\npush-to = "127.0.0.1:5001/data"\n'
    found = settings.read({"a": FULL, "b": second}, options={"context": "mine", "strict": None})
    assert found.registry == "localhost:5000/data"
    assert found.push_prefix == "127.0.0.1:5001/data"
    assert found.context == "mine"
    assert not found.strict


def test_pushes_go_to_the_registry_that_pods_pull_from_unless_told_otherwise() -> None:
    assert settings.read({"a": FULL}).push_prefix == "registry.example.com/data"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[deploy]\nregistri = 'x'\n", r"b: registri is not a setting. Allowed are: .*registry"),
        ("[deploy]\nstrict = 'perhaps'\n", r"b: strict is 'perhaps', which is not valid"),
        ("[deploy]\nengine = 'rkt'\n", r"b: engine is 'rkt', which is not valid"),
        ("[deploy]\nload-seconds = 0\n", r"b: load-seconds is 0, which is not valid"),
        ("[deploy]\nnamespace = 'team-{name}'\n", r"b: namespace is 'team-{name}'"),
        ("[deploys]\n", r"b: deploys is not a setting"),
        ("[deploy\n", r"b is not valid TOML: .*line 1"),
        ("", r"The registry is not set"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        settings.read({"b": text})


def test_an_unknown_environment_names_those_that_exist() -> None:
    with pytest.raises(SettingsError, match="has: production, staging"):
        settings.read({"bulkhead.toml": FULL}, environment="prod")
