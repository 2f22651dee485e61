"""Builds what an instance installs without the internet: the app, its wheels, and the script that installs them.

`python -m infra.bundle FILE`; the same input gives the same bytes, so that only a change replaces the instances.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

APP = Path(__file__).resolve().parent.parent / "todo"
# Amazon Linux 2023 on Graviton; without a platform, pip takes this machine's.
PYTHON, PLATFORMS = "3.13", ["--platform=manylinux_2_28_aarch64", "--platform=manylinux2014_aarch64"]


def download(folder: Path) -> None:
    """The wheels that requirements.txt pins; pip's own cache has those of an earlier build."""
    requirements = APP / "requirements.txt"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
           "--only-binary=:all:", f"--python-version={PYTHON}", *PLATFORMS, f"--requirement={requirements}"]  # fmt: skip
    if subprocess.run([*pip, f"--dest={folder}"], check=False).returncode:  # noqa: S603  no part comes from outside
        sys.exit(f"error: pip could not download the wheels of {requirements}, see above")


def pack(wheels: Path) -> bytes:
    """A tar.gz whose bytes depend on names and contents only."""
    files = {"python-version": f"{PYTHON}\n".encode()}
    files |= {name: (APP / name).read_bytes() for name in ("install.sh", "requirements.txt", "todo.service")}
    files |= {f"todo/{path.name}": path.read_bytes() for path in APP.glob("*.py")}
    files |= {f"wheels/{path.name}": path.read_bytes() for path in wheels.iterdir()}
    packed = io.BytesIO()
    # Stored, not compressed: wheels are zip files, and the bytes that zlib writes differ between machines.
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=0, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main(out: Path) -> None:
    with TemporaryDirectory() as wheels:
        download(Path(wheels))
        packed = pack(Path(wheels))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(packed)
    print(f"{out}: {len(packed) / 1e6:.0f} MB, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
