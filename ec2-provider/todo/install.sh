#!/bin/bash
# Installs the bundle that this script lies in into DEST, from its own wheels: no network is needed.
set -euo pipefail

mkdir -p "${1:?usage: install.sh DEST}"
dest=$(cd "$1" && pwd)
cd "$(dirname "$0")"

"python$(cat python-version)" -m venv --clear "$dest/venv"
"$dest/venv/bin/python" -m pip --isolated install --quiet --disable-pip-version-check \
  --no-index --find-links=wheels --require-hashes --requirement=requirements.txt
rm -rf "$dest/todo"
cp -R todo "$dest/todo"
