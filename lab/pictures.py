"""`make pictures`: the console of a running `make up`, as it looks at three widths, dark and light.

They are written to `pictures/` in its folder, to be looked at; none is kept in the repository.
"""

import argparse
import itertools
import shlex
import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from lab.stack import ROOT

_WIDTHS = (360, 768, 1440)
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_HEIGHT = 800


def main() -> int:
    """Takes them all; says of each where it is, and which page is wider than its window."""
    parser = argparse.ArgumentParser(prog="make pictures")
    parser.add_argument("--run", type=Path, default=ROOT / ".run", metavar="FOLDER")
    run = parser.parse_args().run
    env = _read(run / "demo.env")
    places = {
        "servers": "/servers",
        "server": f"/servers/{env['F2H_HOSTNAME']}",
        "keys": "/keys",
        "new-key": "/keys/new",
        "audit": "/audit",
        "account": "/account",
    }
    folder = run / "pictures"
    folder.mkdir(exist_ok=True)
    too_wide = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for width, theme in itertools.product(_WIDTHS, _THEMES):
            size = ViewportSize(width=width, height=_HEIGHT)
            page = chromium.new_context(viewport=size, color_scheme=theme).new_page()
            page.goto(f"{env['F2H_URL']}/console")
            _take(page, folder / f"sign-in-{width}-{theme}.png")
            page.get_by_label("E-mail address").fill(env["F2H_EMAIL"])
            page.get_by_label("Password", exact=True).fill(env["F2H_PASSWORD"])
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.get_by_role("navigation").wait_for()
            for name, place in places.items():
                page.goto(f"{env['F2H_URL']}/console/#{place}")
                page.get_by_role("heading", level=1).wait_for()
                page.wait_for_load_state("networkidle")
                expect(page.locator(".waiting")).to_have_count(0, timeout=30_000)
                if _take(page, folder / f"{name}-{width}-{theme}.png") > width:
                    too_wide.append(f"{place} at {width} px")
        chromium.close()
    for each in too_wide:
        print(f"wider than its window: {each}", file=sys.stderr)
    return 1 if too_wide else 0


def _take(page: Page, path: Path) -> int:
    """Takes a picture of the whole page; how wide it is, in pixels."""
    page.screenshot(path=path, full_page=True)
    print(path)
    return int(page.evaluate("document.documentElement.scrollWidth"))


def _read(env: Path) -> dict[str, str]:
    """What `make up` wrote for scripts."""
    lines = shlex.split(env.read_text())
    return dict(line.split("=", 1) for line in lines if "=" in line)


if __name__ == "__main__":
    sys.exit(main())
