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


def mutual_tls(api: HttpApi, template: Path, folder: Path, port: str) -> dict[str, str] | None:
    """What Envoy needs to ask for certificates of the truststore, or of the authority in the folder, which gives one to a client."""
    if not api.truststore:
        return None
    # The CDK puts an asset beside the template, under the name of its object.
    asset = template.with_name(f"asset.{api.truststore.rpartition('/')[2]}")
    if not asset.is_file():
        raise TemplateError(f"{asset} is missing, which is the truststore {api.truststore}; synthesize again")
    [name], client = api.hosts, issue(folder.resolve(), "client")
    files = {"cacert": client.with_stem("authority"), "cert": client, "key": client.with_stem("client-key")}
    options = [*files.items(), ("resolve", f"{name}:{port}:127.0.0.1")]
    client.with_name("curl").write_text("".join(f'{option} = "{value}"\n' for option, value in options))
    own = issue(folder, name, name, "localhost", "127.0.0.1", "::1")
    # Without other blocks: API Gateway does not look at lists of revoked certificates.
    trusted = CERTIFICATES.findall(f"{asset.read_text()}\n{files['cacert'].read_text()}")
    return {"certificate": str(own), "key": str(own.with_stem(f"{own.stem}-key")), "trusted": "".join(trusted)}


def main(template: Path, folder: Path, port: str) -> None:
    api = read_http_api(Template(json.loads(template.read_text())))
    if not mutual_tls(api, template, folder, port):
        sys.exit("error: the domain of this registry asks for no certificate; choose SERVICES=examples/production.toml")
    paths = [route.key.split()[1] for route in api.routes if route.key.startswith("GET ") and "{" not in route.key]
    print(f"curl --config {folder.resolve()}/curl https://{min(api.hosts)}:{port}{min(paths, default='/')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
