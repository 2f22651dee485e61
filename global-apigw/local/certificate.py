"""Stands for an authority of the truststore: `python -m local.certificate TEMPLATE FOLDER PORT` makes a client's certificate.

It prints the curl that sends the certificate to the local API.
"""

import json
import re
import sys
from pathlib import Path

from local.authority import issue
from local.http_api import HttpApi, read_http_api
from local.template import Template, TemplateError

CERTIFICATES = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


def mutual_tls(api: HttpApi, template: Path, folder: Path, port: int) -> dict[str, str] | None:
    """What Envoy needs to ask for certificates of the truststore, or of the authority in the folder."""
    if not api.truststore:
        return None
    # The CDK puts an asset beside the template, under the name of its object.
    asset = template.with_name(f"asset.{api.truststore.rpartition('/')[2]}")
    if not asset.is_file():
        raise TemplateError(f"{asset} is missing, which is the truststore {api.truststore}; synthesize again")
    write_client(api, folder, port)
    own = issue(folder, api.hosts[0], api.hosts[0], "localhost", "127.0.0.1", "::1")
    # Without other blocks: API Gateway does not look at lists of revoked certificates.
    trusted = CERTIFICATES.findall(f"{asset.read_text()}\n{(folder / 'authority.pem').read_text()}")
    return {"certificate": str(own), "key": str(own.with_stem(f"{own.stem}-key")), "trusted": "".join(trusted)}


def write_client(api: HttpApi, folder: Path, port: int) -> str:
    """A client's certificate, and the curl that sends it."""
    client, url = issue(folder.resolve(), "client"), f"{api.hosts[0]}:{port}"
    files = {"cacert": client.with_stem("authority"), "cert": client, "key": client.with_stem("client-key")}
    lines = [f'{option} = "{file}"\n' for option, file in files.items()]
    (folder / "curl").write_text("".join([*lines, f'resolve = "{url}:127.0.0.1"\n']))
    paths = [route.key.split()[1] for route in api.routes if route.key.startswith("GET ") and "{" not in route.key]
    return f"curl --config {client.with_name('curl')} https://{url}{min(paths, default='/')}"


def main(template: Path, folder: Path, port: str) -> None:
    api = read_http_api(Template(json.loads(template.read_text())))
    if not api.truststore:
        sys.exit("error: the domain of this registry asks for no certificate; choose SERVICES=examples/production.toml")
    print(write_client(api, folder, int(port)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
