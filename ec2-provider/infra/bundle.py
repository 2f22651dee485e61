"""Builds what an instance installs without the internet: the app, its wheels, and the script that installs them.

`python -m infra.bundle --out FILE`; the same input gives the same bytes, so that only a change replaces the instances.
"""

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

APP = Path(__file__).resolve().parent.parent / "todo"
CACHE = APP.parent / ".build" / "wheels"
# Amazon Linux 2023 on Graviton; without a platform, pip takes this machine's.
PYTHON, PLATFORMS = "3.13", ["--platform=manylinux_2_28_aarch64", "--platform=manylinux2014_aarch64"]


def wheels() -> list[Path]:
    """The wheels that requirements.txt pins, downloaded once for each content of this file and each target."""
    requirements = APP / "requirements.txt"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
           "--only-binary=:all:", f"--python-version={PYTHON}", *PLATFORMS, f"--requirement={requirements}"]  # fmt: skip
    folder = CACHE / hashlib.sha256(requirements.read_bytes() + repr([PYTHON, *PLATFORMS]).encode()).hexdigest()[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as part:
            if subprocess.run([*pip, f"--dest={part}"], check=False).returncode:  # noqa: S603  no part comes from outside
                sys.exit(f"error: pip could not download the wheels of {requirements}, see above")
            with suppress(OSError):  # when another build has made the folder meanwhile
                Path(part).rename(folder)
    return sorted(folder.iterdir())


def pack() -> bytes:
    """A tar.gz whose bytes depend on names and contents only."""
    files = {"python-version": f"{PYTHON}\n".encode()}
    files |= {name: (APP / name).read_bytes() for name in ("install.sh", "requirements.txt", "todo.service")}
    files |= {f"todo/{path.name}": path.read_bytes() for path in APP.glob("*.py")}
    files |= {f"wheels/{path.name}": path.read_bytes() for path in wheels()}
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


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the bundle that an instance boots from.")
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args(argv).out
    packed = pack()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(packed)
    print(f"{out}: {len(packed) / 1e6:.0f} MB, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
