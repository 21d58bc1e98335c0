"""`make bench`: measures, prints, and writes docs/benchmarks.md."""

import subprocess
import sys

from bench import antihack, dnsbl, fleet, key_count, monitoring, read_server
from bench.load import BenchError, require_wrk
from bench.report import markdown
from edge.process import EdgeError
from lab.stack import ROOT, StackError

_BENCHMARKS = (read_server, key_count, fleet, monitoring, antihack, dnsbl)

TARGET = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Runs every benchmark; 1 when one cannot be run or its answers are wrong."""
    try:
        require_wrk()
        findings = [each.measure() for each in _BENCHMARKS]
        text = markdown(findings)
    except (BenchError, EdgeError, StackError, subprocess.CalledProcessError) as error:
        print(f"make bench: {error}", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
