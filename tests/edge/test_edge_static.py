"""What anybody may read at the edge, and that it is nothing else."""

import gzip
from pathlib import Path

import pytest

from tests.edge.conftest import Edge
from tests.edge.stand_ins import GOOD_KEY, Answer

KINDS = {
    "console/index.html": "text/html; charset=utf-8",
    "console/icon.svg": "image/svg+xml",
    "docs/index.html": "text/html; charset=utf-8",
    "docs/setup.js": "text/javascript; charset=utf-8",
    "docs/page.css": "text/css; charset=utf-8",
    "docs/icon.png": "image/png",
    "docs/LICENSE": "text/plain; charset=utf-8",
    "docs/other.unknown": "text/plain; charset=utf-8",
    "openapi.json": "application/json",
}

ASSETS = {
    "console/assets/index-a1b2c3.js": "text/javascript; charset=utf-8",
    "console/assets/index-d4e5f6.css": "text/css; charset=utf-8",
}
"""Of the console: what they hold is a part of their names."""

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}

SECRET = "nobody reads this"


@pytest.fixture(autouse=True)
def static(edge: Edge) -> Path:
    """The folder of the edge's files, and what stands around them."""
    folder = edge.config.parent / "static"
    for name in (*KINDS, *ASSETS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (folder / "docs" / "folder").mkdir(exist_ok=True)
    around = ("secret", "docs-secret", "console-secret", "openapi.json.bak")
    for outside in (*(f"static/{name}" for name in around), "secret"):
        (folder.parent / outside).write_text(SECRET)
    for inside in ("docs/folder", "console/assets"):
        (folder / inside / "listed").write_text(SECRET)
    return folder


def get(edge: Edge, path: str, verb: str = "GET", **headers: str) -> Answer:
    """An answer of any form, to nobody in particular."""
    connection = edge.public.connection()
    try:
        connection.request(verb, path, headers=headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=str)
def test_a_file_is_what_it_is_and_nobody_is_authorized(edge: Edge, name: str, kind: str) -> None:
    headers = {"X-API-Key": "wrong", "Cookie": "f2h_session=wrong", "Authorization": "Bearer x"}
    for shown in ({}, headers):
        answer = get(edge, f"/{name}", **shown)
        assert (answer.status, answer.body.decode()) == (200, f"this is {name}")
        assert answer.headers["content-type"] == kind
        assert {each: answer.headers[each] for each in HEADERS} == HEADERS
    assert not edge.auth.seen


@pytest.mark.parametrize(("name", "kind"), ASSETS.items(), ids=str)
def test_what_never_changes_under_its_name_is_asked_for_once(
    edge: Edge, name: str, kind: str
) -> None:
    answer = get(edge, f"/{name}")
    assert (answer.status, answer.body.decode()) == (200, f"this is {name}")
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not edge.auth.seen


@pytest.mark.parametrize("folder", ["console", "docs"])
@pytest.mark.parametrize("path", ["", "?a=b", "."])
def test_the_folder_is_its_page(edge: Edge, folder: str, path: str) -> None:
    answer = get(edge, f"/{folder}/{path}")
    assert (answer.status, answer.body.decode()) == (200, f"this is {folder}/index.html")
    assert answer.headers["content-type"] == KINDS[f"{folder}/index.html"]
    assert {each: answer.headers[each] for each in HEADERS} == HEADERS


@pytest.mark.parametrize("folder", ["console", "docs"])
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_without_its_slash_it_leads_to_the_folder_on_this_host(
    edge: Edge, folder: str, host: str
) -> None:
    answer = get(edge, f"/{folder}", Host=host)
    assert (answer.status, answer.headers["location"]) == (308, f"/{folder}/")
    assert not edge.auth.seen


LONG = "a line that is there again and again\n" * 100


@pytest.mark.parametrize("name", [*ASSETS, "console/index.html", "openapi.json", "docs/setup.js"])
def test_a_file_is_compressed_for_who_can_read_that(edge: Edge, static: Path, name: str) -> None:
    (static / name).write_text(LONG)
    small = get(edge, f"/{name}", **{"Accept-Encoding": "br, gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"].lower() == "accept-encoding"
    assert len(small.body) < len(LONG) / 10
    assert gzip.decompress(small.body).decode() == LONG
    for accepted in ({}, {"Accept-Encoding": "gzip;q=0"}):
        whole = get(edge, f"/{name}", **accepted)
        assert "content-encoding" not in whole.headers
        assert whole.body.decode() == LONG


@pytest.mark.parametrize("path", ["/api/servers", "/api/nothing", "/healthz"])
def test_no_answer_of_the_api_is_compressed(edge: Edge, path: str) -> None:
    """Its length would tell whether what an attacker put in is in it as well (BREACH)."""
    for key in ({}, {"X-API-Key": GOOD_KEY}):
        answer = get(edge, path, **{"Accept-Encoding": "gzip"}, **key)
        assert answer.body.startswith(b"{"), answer.body
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/secret",
        "/docs-secret",
        "/console-secret",
        "/console/../secret",
        "/console/assets/../../secret",
        "/console/%2e%2e/secret",
        "/console/..%2fsecret",
        "/console/assets",
        "/console/assets/",
        "/console/assets/.",
        "/CONSOLE/",
        "/docs/../secret",
        "/docs/../../secret",
        "/docs/folder/../../secret",
        "/docs//../secret",
        "/docs/./../secret",
        "/docs/%2e%2e/secret",
        "/docs/%2E%2E/secret",
        "/docs/.%2e/secret",
        "/docs/..%2fsecret",
        "/docs/%2e%2e%2fsecret",
        "/docs/..%5csecret",
        "/docs/..\\secret",
        "/docs/%252e%252e/secret",
        "/docs/%252e%252e%252fsecret",
        "/docs/..;/secret",
        "/docs/%00/../../secret",
        "/docs/index.html%00",
        "/docs/..",
        "/openapi.json.bak",
        "/openapi.json/../secret",
        "/openapi.json/",
        "/OPENAPI.JSON",
        "/DOCS/",
        "/static/secret",
        "/docs/folder",
        "/docs/folder/",
        "/docs/index.html/",
        "/",
        "",
    ],
)
def test_no_path_leads_out_and_no_folder_is_listed(edge: Edge, path: str) -> None:
    for answer in (
        edge.public.rest("GET", path, key=None),
        edge.public.rest("GET", path + str(edge.config.parent / "secret"), key=None),
    ):
        assert answer.status in {400, 403, 404}, (path, answer.status)
        assert SECRET.encode() not in answer.body
        assert b"listed" not in answer.body
    assert not edge.reached()


@pytest.mark.parametrize(
    "path", ["/docs/nothing", "/docs/nothing.js", "/console/nothing", "/console/assets/nothing.js"]
)
def test_a_file_that_is_not_there_is_an_error_like_all(edge: Edge, path: str) -> None:
    answer = edge.public.rest("GET", path, key=None)
    assert (answer.status, answer.reason) == (404, "NOT_FOUND")


def test_that_an_asset_was_not_there_is_not_kept(edge: Edge) -> None:
    """A new console is not everywhere at once."""
    answer = get(edge, "/console/assets/index-99.js")
    assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/docs/", "/docs/index.html", "/openapi.json", "/console/"])
def test_files_are_only_read(edge: Edge, static: Path, verb: str, path: str) -> None:
    answer = edge.public.rest(verb, path, key=None, body=b"changed")
    assert answer.status == 405
    for name in ("docs/index.html", "openapi.json"):
        assert (static / name).read_text() == f"this is {name}"
    assert not edge.reached()


@pytest.mark.parametrize(
    "path",
    [
        "/docs/../api/servers",
        "/docs/%2e%2e/api/servers",
        "/docs//../api/servers",
        "/console/../api/servers",
        "/openapi.json/../api/servers",
        "/docs/../f2h.server_ops.v1.ServerService/ListServers",
    ],
)
def test_no_call_passes_by_way_of_a_file_without_a_key(edge: Edge, path: str) -> None:
    for key in ("wrong", None):
        assert edge.public.rest("GET", path, key=key).status in {401, 404}
        native = get(edge, path, "POST", **{"Content-Type": "application/grpc"})
        assert native.headers.get("grpc-status") != "0"
    assert not edge.reached()


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/docs/",
        "/docs/api/servers",
        "/console",
        "/console/api/servers",
        "/console/assets/api/servers",
        "/docs/f2h.server_ops.v1.ServerService/ListServers",
        "/openapi.json",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_no_service_is_reached_below_the_files(edge: Edge, path: str, verb: str) -> None:
    get(edge, path, verb, **{"Content-Type": "application/grpc", "TE": "trailers"})
    get(edge, path, verb, **{"grpc-timeout": "1S", "X-Envoy-Original-Path": "/api/servers"})
    assert not edge.reached()
    assert not edge.auth.seen


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/", "/docs/index.html", "/openapi.json", "/console", "/console/"]
)
def test_other_listeners_have_no_such_files(edge: Edge, path: str) -> None:
    for client in (edge.internal, edge.provisioning):
        assert client.rest("GET", path, key=None).status == 404
