#!/bin/bash
# Installs the bundle of this folder and asks the service. It runs in a network namespace, whose loopback is down at first.
set -eu
"$PYTHON" -c '
import fcntl, socket, struct
with socket.socket() as s:  # SIOCSIFFLAGS: IFF_UP
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))'
bundle/install.sh installed
cd installed
venv/bin/gunicorn -c todo/gunicorn.conf.py &
server=$!
curl --silent --show-error --fail --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/healthz
kill "$server"
wait "$server"
