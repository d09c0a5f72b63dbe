"""A build's settings of package indexes."""

import configparser
from pathlib import Path

import pytest
import tomllib

from bulkhead_kind import package_index

SETTINGS = {
    "index-url": "https://packages.example.com/simple",
    "extra-index-url": "https://one.example.com/simple\nhttps://two.example.com/simple",
    "trusted-host": "packages.example.com",
}


def test_the_configuration_of_pip_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(package_index.pip_conf(SETTINGS) + "timeout = 60\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    for option in package_index.WANTED:
        monkeypatch.delenv(f"PIP_{option.upper().replace('-', '_')}", raising=False)
    assert package_index.settings() == {
        **SETTINGS,
        "extra-index-url": SETTINGS["extra-index-url"].replace("\n", " "),
    }


def test_pip_and_uv_get_the_same_settings() -> None:
    pip = configparser.ConfigParser()
    pip.read_string(package_index.pip_conf(SETTINGS))
    uv = tomllib.loads(package_index.uv_toml(SETTINGS))
    assert pip["global"]["index-url"] == uv["index-url"] == SETTINGS["index-url"]
    assert pip["global"]["extra-index-url"].split() == uv["extra-index-url"]
    assert uv["extra-index-url"] == SETTINGS["extra-index-url"].split()
    assert [pip["global"]["trusted-host"]] == uv["allow-insecure-host"]


def test_missing_settings_are_left_out_for_uv() -> None:
    assert package_index.uv_toml({"index-url": "https://packages.example.com"}) == (
        'index-url = "https://packages.example.com"\n'
    )


def test_a_missing_bundle_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.crt"))
    assert package_index.ca_bundle() is None
    (tmp_path / "ca.crt").touch()
    assert package_index.ca_bundle() == tmp_path / "ca.crt"
