"""Makes edge/static, the files that the edge serves as they are: `python -m tools.static`.

- /console/: the web console, built from console/
- /docs/: Swagger UI, from npm, and our page, from edge/docs
- /openapi.json: what the REST API is, from gen/
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools import console, gen, protoc

STATIC = protoc.ROOT / "edge" / "static"

_DOCS = protoc.ROOT / "edge" / "docs"
_PAGE = ("index.html", "setup.js", "page.css")
_SWAGGER_UI = (
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
    "favicon-32x32.png",
    "LICENSE",
    "NOTICE",
)


def main() -> int:
    """Makes a new folder and swaps it in whole, so that a failure leaves the old one."""
    with tempfile.TemporaryDirectory(dir=protoc.ROOT, prefix=".gen-") as folder:
        fresh = Path(folder) / "static"
        make(fresh)
        shutil.rmtree(STATIC, ignore_errors=True)
        os.replace(fresh, STATIC)
    return 0


def make(folder: Path) -> None:
    """Makes the files in a folder that is not there yet.

    Raises OSError when one is missing, RuntimeError when the console could not be built.
    """
    (folder / "docs").mkdir(parents=True)
    for name in _PAGE:
        shutil.copyfile(_DOCS / name, folder / "docs" / name)
    for name in _SWAGGER_UI:
        source = _DOCS / "node_modules" / "swagger-ui-dist" / name
        shutil.copyfile(source, folder / "docs" / name)
    console.build(folder / "console")
    shutil.copyfile(gen.GEN / "openapi.json", folder / "openapi.json")


if __name__ == "__main__":
    sys.exit(main())
