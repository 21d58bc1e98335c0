"""What anybody may read at the edge, and that it is nothing else."""

from pathlib import Path

import pytest

from tests.edge.conftest import Edge
from tests.edge.stand_ins import Answer

KINDS = {
    "docs/index.html": "text/html; charset=utf-8",
    "docs/setup.js": "text/javascript; charset=utf-8",
    "docs/page.css": "text/css; charset=utf-8",
    "docs/icon.png": "image/png",
    "docs/LICENSE": "text/plain; charset=utf-8",
    "docs/other.unknown": "text/plain; charset=utf-8",
    "openapi.json": "application/json",
}

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

SECRET = "nobody reads this"


@pytest.fixture(autouse=True)
def static(edge: Edge) -> Path:
    """The folder of the edge's files, and what stands around them."""
    folder = edge.config.parent / "static"
    for name in KINDS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (folder / "docs" / "folder").mkdir(exist_ok=True)
    for outside in ("static/secret", "static/docs-secret", "static/openapi.json.bak", "secret"):
        (folder.parent / outside).write_text(SECRET)
    (folder / "docs" / "folder" / "listed").write_text(SECRET)
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


@pytest.mark.parametrize("path", ["/docs/", "/docs/?a=b", "/docs/."])
def test_the_folder_is_its_page(edge: Edge, path: str) -> None:
    answer = get(edge, path)
    assert (answer.status, answer.body) == (200, b"this is docs/index.html")
    assert answer.headers["content-type"] == KINDS["docs/index.html"]
    assert {each: answer.headers[each] for each in HEADERS} == HEADERS


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_without_its_slash_it_leads_to_the_folder_on_this_host(edge: Edge, host: str) -> None:
    answer = get(edge, "/docs", Host=host)
    assert (answer.status, answer.headers["location"]) == (308, "/docs/")
    assert not edge.auth.seen


@pytest.mark.parametrize(
    "path",
    [
        "/secret",
        "/docs-secret",
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


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/nothing.js"])
def test_a_file_that_is_not_there_is_an_error_like_all(edge: Edge, path: str) -> None:
    answer = edge.public.rest("GET", path, key=None)
    assert (answer.status, answer.reason) == (404, "NOT_FOUND")


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/docs/", "/docs/index.html", "/openapi.json"])
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


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/index.html", "/openapi.json"])
def test_other_listeners_have_no_such_files(edge: Edge, path: str) -> None:
    for client in (edge.internal, edge.provisioning):
        assert client.rest("GET", path, key=None).status == 404
