"""Whether an API answers as parity.yaml says: python -m tests.conformance URL. TOKEN may hold a good bearer token, and CURL
curl's options --cert, --key and --cacert, or the --config of the local run.

Routes of the registry take the places of the table's. Nothing is stored: the gateway refuses the one POST.
"""

import os
import re
import shlex
import ssl
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from common.settings import SettingsError
from infra.registry import Registry, load_registry
from tests.parity import FORGERIES, ROWS, ask, differences

Json = dict[str, Any]
NOT_FOUND = '{"message":"Not Found"}'


class NotAskedError(Exception):
    """Why a request is not sent."""


class Api(NamedTuple):
    url: str
    registry: Registry
    token: str
    clients: dict[str, ssl.SSLContext | None]

    @property
    def origin(self) -> str:
        return next(iter(self.registry.api.cors_origins), "")

    def path(self, method: str, path: str, body: object) -> str:
        """With the path of a route of the registry in the place of /echo, which is open, or of /token, which is not."""
        name, rest = re.fullmatch(r"/([\w.]+)(.*)", path).groups()  # type: ignore[union-attr] # each path of the table
        auth = {"echo": "none", "token": "jwt"}.get(name)
        if not auth and body == NOT_FOUND:
            return path  # no registry has such a route
        for route in self.registry.routes:
            its_method, its_path = route.key.split()
            is_alike = its_method == ("POST" if method == "POST" else "GET") and "{" not in its_path
            if is_alike and route.auth == auth and not route.scopes:
                return its_path + rest
        raise NotAskedError(f"no route like {path} in the registry" if auth else "it needs a backend of the tests")

    def header(self, text: str, forgery: str) -> str:
        if "{token}" in text and not self.token:
            raise NotAskedError("it needs TOKEN")
        if "{origin}" in text and not self.origin:
            raise NotAskedError("the registry allows no origin")
        token = FORGERIES[forgery](self.token) if "{token}" in text else ""
        return text.format(token=token, origin=self.origin)

    def ask(self, expected: Json, path: str, method: str = "GET", headers: Any = (), **more: Any) -> list[str]:
        """Send a request of parity.yaml; in which fields the answer differs."""
        if "://" in path or any(header.startswith("Host: ") for header in headers):
            raise NotAskedError("it is about the names of the local API")
        domain, certificate = self.registry.api.domain, more.get("certificate", "good")
        if certificate not in self.clients or ("certificate" in more and not (domain and domain.truststore)):
            raise NotAskedError(
                "it needs a registry with a truststore, or a certificate that only the authority can issue"
            )
        forgery = more.get("forgery", "")
        if "claims" in more or forgery not in FORGERIES or "{token}" in path:
            raise NotAskedError("only the issuer can make its token")
        asked = self.path(method, path, expected.get("body"))
        sent = [self.header(each, forgery) for each in headers]
        if domain and not self.registry.api.default_endpoint:
            sent.append(f"Host: {domain.name}")
        came = ask(self.url, method, asked, sent, more.get("body", 0), self.clients[certificate])
        methods = ",".join(sorted({route.key.split()[0] for route in self.registry.routes}))
        return differences({"answer": expected}, came, origin=self.origin, methods=methods)


def examine(api: Api, row: Json) -> tuple[str, str]:
    """The result of a row: its evidence, "differs" or "not asked"; and why."""
    answers, reasons = [], ["only the backend or the access log shows it"]
    for request in row["requests"] if "answer" in row["expected"] else ():
        try:
            answers.append(api.ask(row["expected"]["answer"], **request))
        except NotAskedError as reason:
            reasons.append(str(reason))
    found = [each for answer in answers for each in answer]
    if found:
        return "differs", f"{'; '.join(found)} ({row['evidence']})"
    return (row["evidence"].split(",")[0], "") if answers else ("not asked", reasons[-1])


def clients(options: str) -> dict[str, ssl.SSLContext | None]:
    """A client with a good certificate, by the options of curl, and one without."""
    words = shlex.split(options)
    given = dict(zip(words[::2], words[1::2], strict=True))
    if "--config" in given:
        given = {f"--{name}": value for name, value in tomllib.loads(Path(given["--config"]).read_text()).items()}
    good, none = (ssl.create_default_context(cafile=given.get("--cacert")) for _ in range(2))
    if "--cert" in given:
        good.load_cert_chain(given["--cert"], given.get("--key"))
    return {"good": good, "none": none}


def main(url: str, environ: Any) -> int:
    if not re.fullmatch(r"https?://[^/]+/?", url):
        raise ValueError("expected the URL of an API like https://api.example.com")
    registry = load_registry(Path(environ.get("SERVICES") or "services.toml"))
    api = Api(url.rstrip("/"), registry, environ.get("TOKEN", ""), clients(environ.get("CURL", "")))
    if registry.api.domain and registry.api.domain.truststore and not environ.get("CURL"):
        raise ValueError('its clients need a certificate; say which: CURL="--cert FILE --key FILE"')
    results = [(row, *examine(api, row)) for row in ROWS]
    for row, result, why in results:
        if result != "not asked":
            print(f"{result:<11} {row['behaviour']}" + (f": {why}" if why else ""))
    for why, count in Counter(why for _, result, why in results if result == "not asked").most_common():
        print(f"not asked   {count} rows: {why}")
    counts = Counter(result for _, result, _ in results)
    print("\n" + ", ".join(f"{counts[each]} {each}" for each in ("documented", "observed", "assumed", "differs")))
    print(f"\nFor an issue of the project, what was assumed until now, at {url}:\n")
    print("| behaviour | seen |\n|---|---|")
    for row, result, why in results:
        if row["evidence"].startswith("assumed") and result != "not asked":
            print(f"| {row['behaviour']} | {why or 'as assumed'} |")
    return int("differs" in counts)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[-1], os.environ))
    except SettingsError as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError) as problem:
        print(f"error: {sys.argv[-1]}: {problem}", file=sys.stderr)
        sys.exit(2)
