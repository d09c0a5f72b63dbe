"""The user and password for a registry: of environment variables, else of docker's config.json.

The format of config.json: https://docs.docker.com/reference/cli/docker/login/#credential-stores.
"""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from bulkhead.registry.errors import RegistryError
from bulkhead.registry.reference import DOCKER_HUB

USERNAME_ENV: Final = "BULKHEAD_REGISTRY_USERNAME"
PASSWORD_ENV: Final = "BULKHEAD_REGISTRY_PASSWORD"  # noqa: S105 - a variable's name

# Where `docker login` without a host stores its entry.
_DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"

# What a credential helper returns as the user of an identity token.
_TOKEN_USER: Final = "<token>"  # noqa: S105 - a marker

_HELPER_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Credentials:
    """A user and a password; the password is in no text of it."""

    username: str
    password: str = field(repr=False)


def find(host: str, environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the credentials for a registry; None if nothing has any.

    Args:
        host: The registry, such as `registry.example.com:5000`.
        environment: The environment variables. BULKHEAD_REGISTRY_USERNAME and …_PASSWORD come
            first, then the files of `docker login` ($DOCKER_CONFIG/config.json) and of `podman
            login` ($REGISTRY_AUTH_FILE).

    Raises:
        RegistryError: Only one of the two variables is set, a file cannot be read, or a credential
            helper failed.
    """
    found = of_environment(environment)
    if found is not None:
        return found
    for file in files(environment):
        found = _of_config(read_config(file), host)
        if found is not None:
            return found
    return None


def of_environment(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the credentials of the two variables; None if neither is set.

    Raises:
        RegistryError: Only one of the two is set.
    """
    username, password = environment.get(USERNAME_ENV), environment.get(PASSWORD_ENV)
    if username and password:
        return Credentials(username, password)
    if username or password:
        missing = PASSWORD_ENV if username else USERNAME_ENV
        raise RegistryError(
            f"{missing} is not set, but the other of {USERNAME_ENV} and {PASSWORD_ENV} is. Set "
            "both, or none to use the credentials of `docker login`."
        )
    return None


def write_docker_config(
    folder: Path, host: str, user: Credentials, environment: Mapping[str, str] = os.environ
) -> None:
    """Write a configuration folder for docker's programs: this machine's, with one more login.

    Contexts and plugins stay where they are; the folder has links to them. Logins of a credential
    store are not in it, because docker would prefer the store.

    Args:
        folder: An empty folder that only this user can read; it becomes $DOCKER_CONFIG.
        host: The registry.
        user: Its credentials.
        environment: The environment variables that name this machine's folder.

    Raises:
        RegistryError: This machine's config.json cannot be read.
    """
    docker, *_ = files(environment)
    config = {key: value for key, value in read_config(docker).items() if key != "credsStore"}
    pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
    config["auths"] = {**(config.get("auths") or {}), _key_of(host): {"auth": pair}}
    helpers: dict[str, str] = config.get("credHelpers") or {}
    config["credHelpers"] = {key: value for key, value in helpers.items() if key != host}
    (folder / docker.name).write_text(json.dumps(config), encoding="utf-8")
    if docker.parent.is_dir():
        for other in docker.parent.iterdir():
            if other.name != docker.name:
                (folder / other.name).symlink_to(other.resolve())


def files(environment: Mapping[str, str]) -> list[Path]:
    """Return the files in which docker and podman keep credentials; they may not exist."""
    home = Path(environment.get("HOME") or Path.home())
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    named = environment.get("REGISTRY_AUTH_FILE")
    runtime = environment.get("XDG_RUNTIME_DIR")
    podman = [Path(named)] if named else []
    if runtime and not named:
        podman = [Path(runtime) / "containers" / "auth.json"]
    return [docker, *podman]


def read_config(file: Path) -> Mapping[str, Any]:
    """Return the content of a config.json; empty if the file does not exist.

    Raises:
        RegistryError: The file cannot be read, or is not a JSON object.
    """
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RegistryError(
            f"The credentials in {file} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        # Without the parser's error: it may quote the file.
        raise RegistryError(
            f"The credentials in {file} are not a JSON object. Remove the file and log in again."
        ) from None
    return cast("Mapping[str, Any]", content)


def _of_config(config: Mapping[str, Any], host: str) -> Credentials | None:
    """Return the credentials of one file, in docker's order: helper of the host, store, entry."""
    helpers = cast("Mapping[str, str]", config.get("credHelpers") or {})
    entries = cast("Mapping[str, Mapping[str, str]]", config.get("auths") or {})
    name = helpers.get(host) or cast("str | None", config.get("credsStore"))
    if name:
        found = _of_helper(name, _key_of(host))
        if found is not None:
            return found
    for key, entry in entries.items():
        if _host_of(key) == host and (found := _of_entry(entry, host)) is not None:
            return found
    return None


def _key_of(host: str) -> str:
    """Return the name of a host's entry."""
    return _DOCKER_HUB_KEY if host == DOCKER_HUB else host


def _host_of(key: str) -> str:
    """Return the host of an entry, which may be a URL."""
    if key == _DOCKER_HUB_KEY:
        return DOCKER_HUB
    return re.sub(r"^https?://", "", key).split("/", 1)[0]


def _of_entry(entry: Mapping[str, str], host: str) -> Credentials | None:
    if entry.get("identitytoken"):
        raise _token_is_not_supported(host)
    if entry.get("username") and entry.get("password"):
        return Credentials(entry["username"], entry["password"])
    if not entry.get("auth"):
        return None
    try:
        text = base64.b64decode(entry["auth"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        # Without the decoder's error: it may quote the entry.
        raise RegistryError(
            f"The entry of {host} in docker's config.json is not valid. Run `docker login {host}` "
            "again."
        ) from None
    username, _, password = text.partition(":")
    return Credentials(username, password.rstrip("\0"))


def _of_helper(name: str, server: str) -> Credentials | None:
    """Return what a credential helper has for a server.

    The protocol: https://github.com/docker/docker-credential-helpers#development.
    """
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=server,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise RegistryError(
            f"docker's config.json names the credential helper {program} for {server}, but it is "
            f"not installed. Install it, or set {USERNAME_ENV} and {PASSWORD_ENV}."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RegistryError(
            f"The credential helper {program} did not answer within {_HELPER_SECONDS:.0f} s. Run "
            f"`docker login {server}` to see why."
        ) from error
    if done.returncode:
        message = done.stdout.strip() or done.stderr.strip()
        if "not found" in message:
            return None
        raise RegistryError(
            f"The credential helper {program} has no credentials for {server}: {message[:200]}. "
            f"Run `docker login {server}` again."
        )
    try:
        answer: Mapping[str, str] = json.loads(done.stdout)
        username, password = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        # Without the parser's error: it may quote the answer.
        raise RegistryError(
            f"The answer of the credential helper {program} is not valid. Run `docker login "
            f"{server}` again."
        ) from None
    if username == _TOKEN_USER:
        raise _token_is_not_supported(server)
    return Credentials(username, password) if username else None


def _token_is_not_supported(host: str) -> RegistryError:
    return RegistryError(
        f"The credentials of {host} are an identity token, which is not supported. Set "
        f"{USERNAME_ENV} and {PASSWORD_ENV} to a user and a password or access token."
    )
