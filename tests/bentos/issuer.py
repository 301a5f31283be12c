"""An OpenID Connect issuer for tests: it signs tokens with RSA and elliptic-curve keys and publishes these over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "loopline"
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class LocalIssuer:
    """Its keys, what it publishes, and how often it was asked.

    Parameters
    ----------
    url : str
        Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.private: dict[str, PrivateKey] = {
            "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "curve": ec.generate_private_key(ec.SECP256R1()),
        }
        self.published = ["rsa", "curve"]
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        self.is_down = False

    def jwks(self) -> dict[str, Any]:
        """The set of the published keys."""
        return {"keys": [self.public(number) for number in self.published]}

    def public(self, number: str) -> dict[str, Any]:
        """A public key as the set holds it."""
        key = self.private[number]
        if isinstance(key, RSAPrivateKey):
            return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": number, "use": "sig", "alg": "RS256"}
        return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": number, "use": "sig", "alg": "ES256"}

    def answer(self, path: str) -> Any:
        """What is found under a path; None for nothing."""
        if path in self.documents:
            return self.documents[path]
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return self.jwks() if path == "/keys" else None

    def token(self, number: str = "rsa", algorithm: str | None = None, key: Any = None, **claims: Any) -> str:
        """A signed token that may predict, but for the claims that are given; None leaves one out."""
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 60, "scope": "openid predict", **claims}
        algorithm = algorithm or ("RS256" if number.startswith("rsa") else "ES256")
        given = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(given, self.private[number] if key is None else key, algorithm, headers={"kid": number})


@contextmanager
def issuing() -> Iterator[LocalIssuer]:
    """An issuer that answers on the loopback."""
    made: list[LocalIssuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = made[0]
            issuer.asked.append(self.path)
            found = issuer.answer(self.path)
            if isinstance(found, str):
                self.send_response(302)
                self.send_header("Location", found)
                self.end_headers()
                return
            self.send_response(503 if issuer.is_down else 200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.append(LocalIssuer(f"http://127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
