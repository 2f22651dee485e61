"""One moto server that plays every account of the rehearsal, and the record of the calls that it was sent.

`python -m tests.rehearsal.server PORT RECORD`: RECORD gets a JSON line a call: account, service, action.
"""

import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.core.config import default_user_config
from moto.core.exceptions import InvalidClientTokenIdError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import accounts, cloudformation, drift, http_apis, load_balancers, privatelink, quotas
    os.environ["AWS_ENDPOINT_URL"] = f"http://localhost:{port}"  # where the bindings send their calls
    app = Recorder(DomainDispatcherApplication(create_backend_app), record)
    make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
