"""gunicorn's gthread worker, changed: a slow client delays no other, and an unread body is not taken for a request."""

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

# Seconds for the client to send a request, to take the answer, and to close the connection after the last answer.
RECEIVE_WITHIN, SEND_WITHIN, CLOSE_WITHIN = 8.0, 8.0, 2.0
# New connections do not get these threads of a worker: they serve the requests on connections that are open already.
RESERVED_THREADS = 50

# close_graceful waits for a client to close, in the main loop, where it delays all others; Worker.handle has waited.
util.close_graceful = util.close


class Connection(socket.socket):
    """A client's socket with a deadline: gunicorn has none after the first byte of a request."""

    deadline = 0.0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises NoMoreData at the deadline and at the end of the stream: for gunicorn, b"" ends the body."""
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
    """Many threads receive requests; MAX_CONCURRENT_REQUESTS of them run the app: more would wait for Python's lock."""

    slots = Semaphore(MAX_CONCURRENT_REQUESTS)

    def accept(self, listener: Any) -> None:
        """Lets the worker with fewer connections accept first: a new connection wakes all workers.

        Without the sleep, one worker could get all connections of a burst, and one CPU would serve all their requests.
        A worker with many connections accepts several at a time, so that no client waits behind a flood of others.
        """
        time.sleep(0.01 * self.nr_conns / (self.nr_conns + 20))
        # The other connections wait for a request, and need no thread.
        receiving = self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns)
        for _ in range(min(1 + self.nr_conns // 16, self.cfg.threads - RESERVED_THREADS - receiving)):
            super().accept(listener)

    def handle(self, conn: Any) -> object:
        """Runs in a thread; a false result closes the connection."""
        if not isinstance(conn.sock, Connection):
            conn.sock = Connection(fileno=conn.sock.detach())
        conn.sock.deadline = time.monotonic() + RECEIVE_WITHIN
        result = super().handle(conn)
        if not result:
            # A close while the client sends would reset the connection, and the client might lose the answer.
            with suppress(OSError, NoMoreData):
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.deadline = time.monotonic() + CLOSE_WITHIN
                while True:
                    conn.sock.recv(MAX_BODY)
        return result

    def handle_request(self, req: Any, conn: Any) -> object:
        """Reads the body before the app answers. After a body that is too long, and while draining, the answer closes."""
        if req._expected_100_continue:
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            req._expected_100_continue = False
        body = req.body.read(MAX_BODY + 1)
        if len(body) > MAX_BODY or self.wsgi.config.get("DRAINING"):
            req.force_close()  # answers with `Connection: close`
        req.body = io.BytesIO(body)
        with self.slots:
            return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: object) -> object:
        return keepalive  # gunicorn would read the rest of the body here; handle_request has read all
