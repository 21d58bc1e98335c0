"""Checks that the protos break nobody: `python -m tools.breaking [REVISION]`.

Compares images, since comparing folders of several modules finds nothing. The earlier contract is
that of REVISION, by default the newest version tag, or the commit before when there is no tag.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tools import protoc

CONFIG = protoc.ROOT / "buf.yaml"


def breaks(earlier: Path, later: Path) -> str:
    """What the protos in the folder `later` break of those in `earlier`; empty: nothing."""
    with tempfile.TemporaryDirectory() as folder:
        images = [Path(folder) / "earlier.binpb", Path(folder) / "later.binpb"]
        for protos, image in zip((earlier, later), images, strict=True):
            protoc.image(protos, image)
        command = [
            *(str(protoc.program("buf")), "breaking", str(images[1])),
            *("--against", str(images[0]), "--config", str(CONFIG)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def main() -> int:
    """Compares the work tree with an earlier revision."""
    revision = sys.argv[1] if len(sys.argv) > 1 else _earlier()
    if not revision:
        print("breaking: no earlier contract to compare with")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "protos.tar"
        command = ["git", "archive", "-o", str(archive), revision, "protos"]
        subprocess.run(command, check=True, cwd=protoc.ROOT)
        # Not by tarfile: its filters came with Python 3.11.4, and Debian 12 has 3.11.2.
        subprocess.run(["tar", "-xf", str(archive), "-C", folder], check=True)
        found = breaks(Path(folder) / "protos", protoc.PROTOS)
    print(found or f"breaking: nothing since {revision}")
    return 1 if found else 0


def _earlier() -> str:
    for command in (
        ["git", "describe", "--tags", "--abbrev=0", "--match=v*"],
        ["git", "rev-parse", "--short", "--verify", "--quiet", "HEAD~1"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=protoc.ROOT)
        if done.returncode == 0:
            return done.stdout.strip()
    return ""


if __name__ == "__main__":
    sys.exit(main())
