"""The service's page for people: each path can be tried out. Its script and style are BentoML's copies of Swagger UI."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

SCRIPT = """
let key = null;
const withKey = request => { if (key) request.headers["Authorization"] = "Bearer " + key; return request; };
const show = spec => SwaggerUIBundle({spec, dom_id: "#page", tryItOutEnabled: true, requestInterceptor: withKey});
const load = async () => {
  const answer = await fetch("docs.json", {headers: key ? {"Authorization": "Bearer " + key} : {}});
  document.getElementById("ask").hidden = answer.status !== 401;
  if (answer.ok) show({...await answer.json(), servers: [{url: new URL(".", location.href).href.replace(/\\/$/, "")}]});
};
document.getElementById("ask").addEventListener("submit", event => {
  event.preventDefault();
  key = document.getElementById("key").value;
  load();
});
load();
"""
"""A key is kept in the page's memory alone, and is gone with it."""
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Model service</title><link rel="stylesheet" href="static/swagger-ui.css"></head>
<body><form id="ask" hidden><label>This service asks for a key: <input id="key" type="password" autocomplete="off"></label>
<button>Show</button></form><div id="page"></div><script src="static/swagger-ui-bundle.js"></script>
<script>{SCRIPT}</script></body>
</html>
"""
_POLICY = {
    "default-src": "'none'",
    "script-src": f"'self' 'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""What a browser must know of the page: no other script runs in it, and no other page frames it."""
OVER_TLS = {"strict-transport-security": "max-age=31536000"}


def headers(scheme: str) -> dict[str, str]:
    """The page's headers; over TLS, it is asked for over TLS from then on."""
    return {**HEADERS, **(OVER_TLS if scheme == "https" else {})}
