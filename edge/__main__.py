"""Writes Envoy's configuration into a folder: `python -m edge FOLDER`; settings are F2H_EDGE_…"""

import argparse
from pathlib import Path

from edge.render import deploy
from edge.settings import EdgeSettings


def main() -> None:
    """Writes envoy.json, and the folder `sds`, which it names."""
    parser = argparse.ArgumentParser(prog="python -m edge", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    settings = EdgeSettings.load()
    deploy(folder / "envoy.json", settings.options(), settings.tls, settings.services_tls)


if __name__ == "__main__":
    main()
