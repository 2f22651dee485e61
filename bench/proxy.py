"""A minimal reverse proxy with aiohttp, as one would write it: PORT=8080 proxy.py http://127.0.0.1:8081."""

import os
import sys
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientSession, web

CLIENT = web.AppKey("client", ClientSession)
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


def end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


async def client(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(sys.argv[1], auto_decompress=False) as app[CLIENT]:
        yield


async def forward(request: web.Request) -> web.Response:
    body, headers = await request.read(), end_to_end(request.headers)
    asked = request.app[CLIENT].request(request.method, request.path_qs, headers=headers, data=body)
    async with asked as answer:
        body, headers = await answer.read(), end_to_end(answer.headers)
        return web.Response(status=answer.status, headers=headers, body=body)


app = web.Application()
app.cleanup_ctx.append(client)
app.router.add_route("*", "/{path:.*}", forward)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None)
