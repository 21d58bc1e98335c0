"""People who sign in on the public listener, as their browsers do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.conftest import ACCOUNT, IN_THE_CLEAR, System, eventually

PASSWORD = "correct horse battery staple"


@dataclass
class Browser:
    """Keeps cookies and says which page it shows, as browsers do."""

    client: httpx.Client
    origin: str

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.send("POST", path, body, **headers)

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A change, from the page."""
        return self.client.request(
            verb, path, json=body or {}, headers={"Origin": self.origin, **headers}
        )

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def login(self, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return self.post("/api/auth/login", {"email": email, "password": password, **more})

    @property
    def headers(self) -> dict[str, str]:
        """The session, and the page that it is used from."""
        pairs = (f"{each.name}={each.value}" for each in self.client.cookies.jar)
        return {"Cookie": "; ".join(pairs), "Origin": self.origin}


def user(system: System, role: str = "OWNER", account: str = ACCOUNT) -> str:
    """The e-mail address of a new user."""
    email = f"user{next(system.numbers)}@example.net"
    form = {"account": account, "email": email, "role": role, "password": PASSWORD}
    answer = system.noc("POST", "/api/noc/users", json=form)
    assert answer.status_code == 200, answer.text
    return email


@contextmanager
def browsing(system: System) -> Iterator[Browser]:
    """A browser in which nobody is signed in."""
    with httpx.Client(base_url=system.stack.url, verify=IN_THE_CLEAR, timeout=20) as client:
        yield Browser(client, system.stack.url)


@contextmanager
def signed_in(system: System, role: str = "MEMBER", account: str = ACCOUNT) -> Iterator[Browser]:
    """A browser in which a new user is signed in.

    Where other tests showed wrong passwords, who signs in next has to wait.
    """
    email = user(system, role, account)
    with browsing(system) as browser:
        eventually(lambda: browser.login(email).is_success, 30)
        yield browser
