"""gunicorn's gthread worker: a slow client holds up nobody else, and a request body never runs into the next request."""

import errno
import io
import socket
import time
from contextlib import suppress
from threading import Semaphore
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http.errors import NoMoreData  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from todo.settings import MAX_CONCURRENT_REQUESTS
from todo.validation import MAX_BODY

# Seconds: for the client to send a request, to take the answer, and to close after the last answer.
RECEIVE_WITHIN, SEND_WITHIN, CLOSE_WITHIN = 8.0, 8.0, 2.0

# The main loop calls it, where one client that does not close would hold up all; Worker.handle has waited already.
util.close_graceful = util.close


class Connection(socket.socket):
    """A client's socket. gunicorn has no deadline of its own once the first byte of a request has come."""

    deadline = 0.0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises NoMoreData at the deadline and at the end: gunicorn would take half a body for a whole one."""
        self.settimeout(max(self.deadline - time.monotonic(), 0.001))
        with suppress(TimeoutError):
            if data := super().recv(size, flags):
                return data
        raise NoMoreData

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.settimeout(SEND_WITHIN)
        try:
            super().sendall(data, flags)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not take the answer") from None


class Worker(ThreadWorker):
    """Many threads wait for requests to arrive; few work on one, as more would only take turns at running Python."""

    turns = Semaphore(MAX_CONCURRENT_REQUESTS)

    def accept(self, listener: Any) -> None:
        """Lets the worker with fewer connections come first: all wake for a new one, and one that is kept alive stays.

        Without this, one worker can end up with all connections of a burst, and one CPU with all their requests. A worker
        with many accepts several at a time, so that a flood of connections does not keep a new one waiting.
        """
        time.sleep(min(self.nr_conns, 20) * 0.0005)
        for _ in range(1 + self.nr_conns // 16):
            super().accept(listener)

    def handle(self, conn: Any) -> object:
        """Runs in a thread; a false result closes the connection."""
        if not isinstance(conn.sock, Connection):
            conn.sock = Connection(fileno=conn.sock.detach())
        conn.sock.deadline = time.monotonic() + RECEIVE_WITHIN
        result = super().handle(conn)
        if not result:
            # A close while the client still sends would reset the connection, and the answer might be lost.
            with suppress(OSError, NoMoreData):
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.deadline = time.monotonic() + CLOSE_WITHIN
                while True:
                    conn.sock.recv(MAX_BODY)
        return result

    def handle_request(self, req: Any, conn: Any) -> object:
        """Reads the body first, so that it is known before the answer whether some of it stays unread."""
        if req._expected_100_continue:
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            req._expected_100_continue = False
        body = req.body.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            req.force_close()  # answers with `Connection: close`
        req.body = io.BytesIO(body)
        with self.turns:
            return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: object) -> object:
        return keepalive  # nothing of the body is left to discard
