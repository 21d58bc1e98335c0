"""rbldnsd as the name server of a DNS blocklist, on loopback."""

import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from lab.ports import HOST, free_port
from lab.process import Process

ZONE = "zen.lab.invalid"
RELOAD_SECONDS = 10.0
TTL_SECONDS = 300
NEGATIVE_TTL_SECONDS = 60

Listings = Mapping[str, Iterable[str]]
"""Of an address or a network, IPv4 or IPv6, the return codes."""

TEST_ENTRIES: Listings = {"127.0.0.2": ("127.0.0.2", "127.0.0.4", "127.0.0.10")}
"""What every blocklist lists, so that one can see that it works (RFC 5782 section 5)."""
EVERYTHING = ("0.0.0.0/1", "128.0.0.0/1", "::/0")
PUBLIC_RESOLVER = "127.255.255.254"

_HEAD = """\
$SOA {ttl} ns.invalid. hostmaster.invalid. 0 1h 1h 1w {negative_ttl}
$TTL {ttl}
$DATASET generic @
"""


class Rbldnsd:
    """A running server; as a context manager. Its address is `address` and `port`.

    Started by root it listens before it becomes another user, and so may have a port below 1024.
    """

    def __init__(
        self,
        folder: Path,
        listings: Listings | None = None,
        *,
        zone: str = ZONE,
        address: str = HOST,
        port: int | None = None,
        ttl_seconds: int = TTL_SECONDS,
        negative_ttl_seconds: int = NEGATIVE_TTL_SECONDS,
    ) -> None:
        """It lists the `listings` beside TEST_ENTRIES. Without `port` it is given a free one."""
        self.folder = folder
        self.zone = zone
        self.address = address
        self.port = port or free_port(socket.SOCK_DGRAM)
        self._listings = listings or {}
        self._head = _HEAD.format(ttl=ttl_seconds, negative_ttl=negative_ttl_seconds)
        self._revision = 0
        self._process: Process | None = None

    @property
    def resolver(self) -> tuple[str, int]:
        """Where it is asked."""
        return self.address, self.port

    def hold(self, listings: Listings) -> None:
        """Lists these, and TEST_ENTRIES, and nothing else; returns when it answers so.

        Raises TimeoutError.
        """
        self._listings = listings
        self._write({**TEST_ENTRIES, **listings})
        self._reload()

    def refuse(self) -> None:
        """Answers everything as Spamhaus does by a public resolver. Raises TimeoutError."""
        self._write(dict.fromkeys(EVERYTHING, (PUBLIC_RESOLVER,)))
        self._reload()

    def start(self) -> None:
        """Starts it, with what it held before. Raises TimeoutError."""
        where = ["-u", "nobody", "-r"] if os.geteuid() == 0 else ["-w"]
        command = ["/usr/sbin/rbldnsd", "-n", "-q", *where, str(self.folder)]
        command += ["-b", f"{self.address}/{self.port}", f"{self.zone}:combined:zone"]
        self._process = Process("rbldnsd", command, self.folder.with_suffix(".log"), {})
        self._wait()

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)  # for the other user
        self._write({**TEST_ENTRIES, **self._listings})
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _write(self, listings: Listings) -> None:
        """The whole zone as one file, so that it is never seen half written.

        A data set answers one code for an address. Each code is therefore a set of its own, and
        what several say is answered together.
        """
        sets: dict[tuple[str, str], list[str]] = {}
        for place, codes in listings.items():
            kind = "ip4set" if ip_network(place).version == 4 else "ip6trie"
            for code in codes:
                sets.setdefault((kind, code), []).append(place)
        self._revision += 1
        text = f"{self._head}revision TXT {self._revision}\n"
        for (kind, code), places in sets.items():
            text += f"$DATASET {kind} @\n:{code}:listed by the lab\n" + "\n".join(places) + "\n"
        new = self.folder / "new"
        new.write_text(text)
        new.chmod(0o644)
        # It compares seconds: two edits within one would look the same.
        stamp = int(time.time()) + self._revision
        os.utime(new, (stamp, stamp))
        new.rename(self.folder / "zone")

    def _reload(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGHUP)
            self._wait()

    def _wait(self) -> None:
        """Returns when it answers from the newest file."""
        deadline = time.monotonic() + RELOAD_SECONDS
        question = dns.message.make_query(f"revision.{self.zone}", dns.rdatatype.TXT)
        while time.monotonic() < deadline:
            try:
                answer = dns.query.udp(question, self.address, 0.5, self.port)
            except (dns.exception.DNSException, OSError):
                answer = dns.message.make_response(question)
            if any(f'"{self._revision}"' in str(rrset) for rrset in answer.answer):
                return
            time.sleep(0.02)
        said = self._process.last_words() if self._process else ""
        raise TimeoutError(f"rbldnsd does not serve its newest zone: {said}")
