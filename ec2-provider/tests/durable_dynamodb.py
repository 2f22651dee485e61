"""moto's DynamoDB for tests that `kill -9` it: `python -m tests.durable_dynamodb TEMPLATE PORT JOURNAL`.

As in DynamoDB, an acknowledged put is kept: it is in the journal before its answer leaves, and the next start repeats it.
No emulator at hand keeps its data and knows ReturnValuesOnConditionCheckFailure, which the store needs.
"""

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from werkzeug.test import run_wsgi_app

from local.dynamodb import call, create_dynamodb, serve


def main(template: str, port: str, journal: str) -> None:
    moto, puts = create_dynamodb(Path(template)), os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for body in Path(journal).read_bytes().splitlines():
        call(moto, "PutItem", body)

    def journaled(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        answer, status, headers = run_wsgi_app(moto, environ, buffered=True)
        if status.startswith("200") and environ["HTTP_X_AMZ_TARGET"].endswith("PutItem"):
            os.write(puts, body + b"\n")  # the SDK's JSON is one line
        start_response(status, list(headers))
        return answer

    serve(int(port), journaled)


if __name__ == "__main__":
    main(*sys.argv[1:])
