"""Builds what an instance boots from without the internet: the app, its wheels, and how to install them.

`python -m infra.bundle --out FILE [--native]`; the same input gives the same bytes, so that only a change rolls the group.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "todo"
CACHE = ROOT / ".build" / "wheels"
INSTANCE = ("3.13", "manylinux_2_28_aarch64", "manylinux2014_aarch64")  # Amazon Linux 2023 on Graviton
NATIVE = (f"{sys.version_info.major}.{sys.version_info.minor}",)  # pip then takes this machine's platform


def wheels(target: tuple[str, ...], cache: Path) -> list[Path]:
    """The wheels that requirements.txt pins, downloaded once for each version of it and each target."""
    requirements = APP / "requirements.txt"
    folder = cache / hashlib.sha256(requirements.read_bytes() + repr(target).encode()).hexdigest()[:16]
    if not folder.exists():
        python, *platforms = target
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as part:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                       "--require-hashes", f"--requirement={requirements}", f"--dest={part}", "--only-binary=:all:",
                       f"--python-version={python}", *(f"--platform={platform}" for platform in platforms)]  # fmt: skip
            if subprocess.run(command, check=False).returncode:  # noqa: S603  nothing in it comes from outside
                sys.exit(f"error: pip could not download the wheels of {requirements}, see above")
            try:
                Path(part).rename(folder)
            except OSError:
                if not folder.exists():  # else another build was faster
                    raise
    return sorted(folder.glob("*.whl"))


def members(python: str, wheels: list[Path]) -> dict[str, bytes]:
    """What lies in the bundle, by name."""
    app, loose = APP.glob("*.py"), ("install.sh", "requirements.txt", "todo.service")
    files = {f"todo/{path.name}": path for path in app} | {f"wheels/{path.name}": path for path in wheels}
    files |= {name: APP / name for name in loose}
    return {name: path.read_bytes() for name, path in files.items()} | {"python-version": f"{python}\n".encode()}


def pack(files: dict[str, bytes]) -> bytes:
    """A tar.gz whose bytes depend on names and contents only."""
    packed = io.BytesIO()
    # Stored, not compressed: wheels are zip files already, and what zlib makes differs between machines.
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=0, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return packed.getvalue()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the bundle that an instance boots from.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--native", action="store_true", help="for this machine instead of an instance")
    args = parser.parse_args(argv)
    target = NATIVE if args.native else INSTANCE
    packed = pack(members(target[0], wheels(target, CACHE)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(packed)
    print(f"{args.out}: {len(packed) / 1e6:.0f} MB, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
