"""The distribution registry, a real one, as a process of the tests: Debian's docker-registry."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[3]
UNPACKED = REPOSITORY / "build" / "docker-registry"
PROGRAM = Path("usr/bin/docker-registry")

USER, PASSWORD = "team", "correct horse"
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"


def program() -> Path:
    """Return the registry's program: of this machine, else unpacked once into `build/`."""
    if installed := shutil.which("docker-registry"):
        return Path(installed)
    if not UNPACKED.exists():
        _unpack()
    return UNPACKED / PROGRAM


def _unpack() -> None:
    UNPACKED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as scratch:
        # Downloads without installing, and needs no root.
        for command in (
            ["apt-get", "download", "docker-registry"],
            ["sh", "-c", "dpkg-deb --extract docker-registry_*.deb root"],
        ):
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (
                "There is no registry for the tests. Install the Debian package docker-registry, "
                f"or make `apt-get download docker-registry` work: {done.stderr}"
            )
        # Another process of the tests may have been faster.
        with contextlib.suppress(OSError):
            (Path(scratch) / "root").rename(UNPACKED)


class RegistryServer:
    """One registry on a free port of loopback; it can be stopped, and restarted on its port."""

    def __init__(
        self, program: Path, folder: Path, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Start with settings of https://distribution.github.io/distribution/about/configuration/."""
        self._program = program
        self._config = folder / "config.yaml"
        self._log = folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        given = dict(settings or {})
        self._tls = "tls" in given.get("http", {})
        config = {
            "version": 0.1,
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "content")},
                "delete": {"enabled": True},
            },
            **given,
            "http": {"addr": self.host, **given.get("http", {})},
        }
        self._config.write_text(yaml.safe_dump(config))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", self._config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    @property
    def log(self) -> str:
        """One line for each request, and errors."""
        return self._log.read_text()

    def _answers(self) -> bool:
        if self._tls:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return True
            return False
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
