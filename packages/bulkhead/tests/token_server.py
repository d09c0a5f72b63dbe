"""A certificate for loopback, and a server that gives tokens for a registry.

The protocol: https://distribution.github.io/distribution/spec/auth/token/.
"""

import base64
import datetime as dt
import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from packages.bulkhead.tests.json_server import JsonHandler, serve

SERVICE = "test-registry"


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority; for TLS on loopback, and to sign tokens."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    key_file: Path
    file: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = dt.datetime.now(dt.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        made = cls(key, certificate, folder / "tls.key", folder / "tls.crt")
        made.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made

    def token(self, access: list[dict[str, Any]]) -> str:
        """Return a token of the registry's form: a JWT signed with RS256."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        now = int(time.time())
        parts = [
            {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]},
            {
                "iss": "test",
                "sub": "team",
                "aud": SERVICE,
                "exp": now + 60,
                "nbf": now - 10,
                "iat": now - 10,
                "jti": "1",
                "access": access,
            },
        ]
        signed = ".".join(_url64(json.dumps(part).encode()) for part in parts)
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_url64(signature)}"


@dataclass
class TokenServer:
    """Gives a token for what is requested to one user, and to others one without rights."""

    certificate: Certificate
    user: str
    password: str
    scopes: list[str] = field(default_factory=list[str])
    """Each scope that was requested."""
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        tokens = self
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization")
                if given is not None and given != f"Basic {expected}":
                    self.answer({}, 401)
                    return
                scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
                tokens.scopes += scopes
                access = list(_access(scopes)) if given is not None else []
                self.answer({"token": tokens.certificate.token(access)})

        self.server = serve(Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.file, self.certificate.key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def realm(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}/token"


def _access(scopes: list[str]) -> Iterator[dict[str, Any]]:
    for scope in scopes:
        kind, name, actions = scope.split(":")
        yield {"type": kind, "name": name, "actions": actions.split(",")}


def _url64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
