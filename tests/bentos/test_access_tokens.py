"""Access tokens of a real local issuer: really signed, its keys really fetched; what is not its, or not for here, is refused."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assets.errors import AccessError
from assets.serving import api_keys
from assets.serving.service_access import AccessOptions, variables
from assets.storage.home import Home
from bentos import access_tokens
from bentos.access_settings import AccessSettings
from bentos.access_tokens import Issuer, IssuerError
from bentos.app import ModelApp
from bentos.runtime import Model
from tests.bentos.issuer import AUDIENCE, LocalIssuer, issuing
from tests.bentos.serving import answering
from tests.models import promised, trained

PRODUCT = "churn"
BODY = {"row": {"age": 30.0, "plan": "free", "visits": 2.0}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home for the shop's model."""
    return Home(tmp_path_factory.mktemp("shop") / "home").prepare()


@pytest.fixture(scope="module")
def model(shop: Home) -> Model:
    """The model that answers."""
    return trained(shop, PRODUCT)


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """An issuer of tokens."""
    with issuing() as found:
        yield found


@pytest.fixture
def service(shop: Home, model: Model, issuer: LocalIssuer, tmp_path: Path) -> Any:
    """What opens a service that takes the issuer's tokens."""

    @contextmanager
    def opened(**options: Any) -> Iterator[httpx.Client]:
        given = AccessOptions("127.0.0.1", **{"oidc_issuer": issuer.url, "audience": AUDIENCE, **options})
        told = variables(Home(tmp_path / "home"), PRODUCT, given, datetime.now(UTC))
        issuer.asked.clear()
        app = ModelApp(promised(shop, model, tmp_path / "package"))
        with answering(AccessSettings.of(told, PRODUCT).guard(app.asgi(), app.metrics)) as client:
            yield client

    return opened


def asked(client: httpx.Client, token: str, path: str = "/predict") -> int:
    """The status of a request with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.get(path, headers=headers) if path == "/model" else client.post(path, json=BODY, headers=headers)
    return answer.status_code


@pytest.mark.parametrize("number", ["rsa", "curve"])
@pytest.mark.parametrize("names_its_keys", [False, True])
def test_a_token_of_the_issuer_may_do_what_its_scope_says(
    service: Any, issuer: LocalIssuer, number: str, names_its_keys: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """By RSA and by an elliptic curve, with discovery and without; fetched once, and named in the log."""
    with service(jwks_url=f"{issuer.url}/keys" if names_its_keys else None) as client:
        predicts, administers = issuer.token(number), issuer.token(number, scope="admin", sub="root")
        assert (asked(client, predicts), asked(client, predicts, "/model")) == (200, 403)
        assert (asked(client, administers), asked(client, administers, "/model")) == (200, 200)
        assert client.post("/predict", json=BODY).status_code == 401
    assert issuer.asked == ([] if names_its_keys else ["/.well-known/openid-configuration"]) + ["/keys"]
    said = capfd.readouterr().err
    assert '"caller":"token:ada"' in said
    assert predicts[-20:] not in said


@pytest.mark.parametrize(
    ("claims", "predict", "describe"),
    [
        ({"scope": "predict"}, 200, 403),
        ({"scope": "churn:predict churn:admin"}, 200, 200),
        ({"scope": None, "scp": ["admin"]}, 200, 200),
        ({"scope": None, "scp": "predict email"}, 200, 403),
        ({"scope": "other:predict"}, 403, 403),
        ({"scope": "predicts Admin administrator"}, 403, 403),
        ({"scope": ""}, 403, 403),
        ({"scope": None}, 403, 403),
        ({"scope": {"admin": True}}, 403, 403),
        ({"scope": 7}, 403, 403),
    ],
)
def test_scopes_are_whole_words(service: Any, issuer: LocalIssuer, claims: dict[str, Any], predict: int, describe: int) -> None:
    """`predict` and `admin`, alone or with the product's name; without one, a known caller may do nothing."""
    with service() as client:
        token = issuer.token(**claims)
        assert (asked(client, token), asked(client, token, "/model")) == (predict, describe)


def forgeries(issuer: LocalIssuer) -> dict[str, str]:
    """Tokens that must not be taken, by what is wrong with them."""
    good = issuer.token()
    head, body, signature = good.split(".")
    public = issuer.private["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    mixed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{body}"
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    widened = {**jwt.decode(good, options={"verify_signature": False}), "scope": "admin"}
    return {
        "no signature": f"{part({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        "no signature, but a kind of one": f"{part({'alg': 'NONE', 'kid': 'rsa'})}.{body}.{signature}",
        "HMAC with the public key": f"{mixed}.{base64.urlsafe_b64encode(hmac.digest(public, mixed.encode(), 'sha256')).decode()}",
        "another key of the same name": issuer.token(key=stranger),
        "another algorithm than the key's": issuer.token(algorithm="PS256"),
        "the curve's token under the other key's name": jwt.encode(
            {}, issuer.private["curve"], "ES256", headers={"kid": "rsa"}
        ),
        "changed claims": f"{head}.{part(widened)}.{signature}",
        "no key's name": jwt.encode(widened, issuer.private["rsa"], "RS256"),
        "the key in the token": jwt.encode(widened, stranger, "RS256", headers={"jwk": issuer.public("rsa"), "kid": "own"}),
        "keys elsewhere": jwt.encode(widened, stranger, "RS256", headers={"jku": "http://127.0.0.1:9/", "kid": "own"}),
        "an unknown critical header": jwt.encode(
            widened, issuer.private["rsa"], "RS256", headers={"kid": "rsa", "crit": ["x"]}
        ),
        "expired": issuer.token(exp=time.time() - 60),
        "without an end": issuer.token(exp=None),
        "not valid yet": issuer.token(nbf=time.time() + 600),
        "another issuer's": issuer.token(iss="https://issuer.example"),
        "without an issuer": issuer.token(iss=None),
        "for another service": issuer.token(aud="another"),
        "for nobody": issuer.token(aud=None),
        "too long": issuer.token(padding="x" * 9_000),
        "cut": good[:-8],
        "one part": "eyJhbGciOiJub25lIn0",
        "nested deep": f"{base64.urlsafe_b64encode(b'[' * 3_000).decode()}.{body}.{signature}",
    }


def test_forged_and_misused_tokens_are_refused(service: Any, issuer: LocalIssuer) -> None:
    """All with the same answer; the good one is taken before and after."""
    with service() as client:
        assert asked(client, issuer.token()) == 200
        found = {wrong: asked(client, token) for wrong, token in forgeries(issuer).items()}
        assert found == dict.fromkeys(found, 401)
        assert asked(client, issuer.token()) == 200


def test_a_token_ends_while_it_is_remembered(service: Any, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verified token is not verified at each request, and is refused all the same once it is expired."""
    monkeypatch.setattr(access_tokens, "LEEWAY", 0)
    with service() as client:
        token = issuer.token(exp=time.time() + 2)
        assert asked(client, token) == 200
        deadline = time.monotonic() + 10
        while asked(client, token) != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_new_keys_are_fetched_for_an_unknown_name_but_not_often(
    service: Any, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The issuer changes its key: its tokens are taken; a hundred made-up names make it be asked once."""
    monkeypatch.setattr(access_tokens, "COOLDOWN", 0.0)
    with service() as client:
        assert asked(client, issuer.token()) == 200
        issuer.private["rsa-2"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        issuer.published = ["rsa-2"]
        assert asked(client, issuer.token("rsa-2")) == 200
        assert asked(client, issuer.token("rsa", jti="another")) == 401, "a withdrawn key is no key any more"
        monkeypatch.setattr(access_tokens, "COOLDOWN", 30.0)
        issuer.asked.clear()
        forged = ec.generate_private_key(ec.SECP256R1())
        for number in range(100):
            token = jwt.encode({"iss": issuer.url}, forged, "ES256", headers={"kid": f"made-up-{number}"})
            assert asked(client, token) == 401
        assert len(issuer.asked) <= 2


def test_known_keys_outlast_an_issuer_that_is_down(
    service: Any, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its tokens are taken on; an unknown name is refused, and the log says that the keys could not be fetched."""
    monkeypatch.setattr(access_tokens, "COOLDOWN", 0.0)
    with service() as client:
        assert asked(client, issuer.token()) == 200
        issuer.is_down = True
        issuer.private["rsa-2"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        assert asked(client, issuer.token("rsa-2")) == 401
        assert asked(client, issuer.token(jti="new")) == 200
        monkeypatch.setattr(access_tokens, "STALE", 0.0)
        assert asked(client, issuer.token(jti="later")) == 401, "keys that were not fetched for a day are not trusted"
    assert "cannot be fetched" in capfd.readouterr().err


def test_keys_and_tokens_are_taken_side_by_side(service: Any, issuer: LocalIssuer, tmp_path: Path) -> None:
    """Each by its own form."""
    token, _ = api_keys.create(Home(tmp_path / "home"), PRODUCT, "predict", datetime.now(UTC))
    with service() as client:
        assert asked(client, token) == asked(client, issuer.token()) == 200


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ({"/.well-known/openid-configuration": {"issuer": "https://a", "jwks_uri": "x"}}, "is of another issuer: 'https://a'"),
        ({"/.well-known/openid-configuration": []}, "holds no JSON object"),
        ({"/keys": {"keys": []}}, "holds no set of keys"),
        ({"/keys": {}}, "holds no set of keys"),
        (
            {"/keys": {"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256"}]}},
            "no public key",
        ),
        ({"/keys": "/elsewhere", "/elsewhere": {"keys": []}}, "cannot be read .*302"),
        ({"/keys": {"padding": "x" * 1_100_000}}, "holds no JSON object"),
    ],
)
def test_an_issuer_that_cannot_be_used_is_refused_before_anything_starts(
    issuer: LocalIssuer, documents: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """One error with the address and what is wrong; redirects are not followed."""
    issuer.documents = documents
    options = AccessOptions("127.0.0.1", oidc_issuer=issuer.url, audience=AUDIENCE)
    with pytest.raises(AccessError, match=problem):
        variables(Home(tmp_path / "home"), PRODUCT, options, datetime.now(UTC))


def test_keys_come_over_https_or_from_this_machine(issuer: LocalIssuer) -> None:
    """Also where the discovery document says otherwise."""
    for url in ("http://issuer.example", "ftp://127.0.0.1/keys", "file:///etc/passwd", "127.0.0.1", "http://127.0.0.1.example"):
        with pytest.raises(IssuerError, match="must be an https URL"):
            Issuer(url, AUDIENCE)
    issuer.documents = {"/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": "http://keys.example/"}}
    with pytest.raises(IssuerError, match="'http://keys.example/' must be an https URL"):
        Issuer(issuer.url, AUDIENCE).keys()
