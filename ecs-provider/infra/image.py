"""The image's tag: derived from what is in image/, so that an unchanged image is not pushed again.

`python -m infra.image` prints it.
"""

import hashlib
from pathlib import Path

IMAGE = Path(__file__).parent.parent / "image"


def image_tag(folder: Path = IMAGE) -> str:
    """Twelve hex digits of the names and contents of all that gets into the image; tests do not."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.endswith("_test.go"):
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    print(image_tag())
