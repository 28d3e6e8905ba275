"""Whom the server answers, and with which headers."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from einthoven.web.guard import HEADERS, LARGEST_REQUEST, Guard, Policy, check_token, is_local

TOKEN = "a-token-that-nobody-guesses"
HERE = "http://127.0.0.1"


async def answer(request: Request):
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request):
    raise RuntimeError("Smith, John")


def client(policy=None, base_url=HERE):
    routes = [Route("/fail", fail), Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])]
    return TestClient(Guard(Starlette(routes=routes), policy or Policy()), base_url=base_url, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8700", "localhost:1", "[::1]:8700"])
def test_our_own_names_are_answered(host):
    assert client().get("/options", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[", "localhost@evil.example:1"]
)
def test_other_names_are_refused(host):
    refused = client().get("/options", headers={"host": host})
    assert refused.status_code == 403
    assert "error" in refused.json()


def test_a_server_of_all_addresses_knows_addresses_but_no_names():
    policy = Policy(["*", "localhost"])
    assert policy.knows_host("10.1.2.3:8700") and policy.knows_host("[fe80::1]:1")
    assert not policy.knows_host("evil.example:8700")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://[", "file://"])
def test_other_origins_are_refused(method, origin):
    assert client().request(method, "/recordings/x", headers={"origin": origin}).status_code == 403


def test_our_own_origin_is_answered():
    assert client().post("/recordings", headers={"origin": HERE}).status_code == 200


@pytest.mark.parametrize(
    ("path", "mode", "status"), [("/options", "cors", 403), ("/", "no-cors", 403), ("/", "navigate", 200)]
)
def test_other_sites_may_only_link_to_the_page(path, mode, status):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
    assert client().get(path, headers=headers).status_code == status


def test_every_answer_has_the_headers_of_safety():
    for answered in (client().get("/"), client().get("/", headers={"host": "evil.example"}), client().get("/fail")):
        assert {name: answered.headers[name] for name in HEADERS} == dict(HEADERS)
        assert answered.headers["cache-control"] == "no-store"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_an_error_tells_nothing_of_its_text(caplog):
    failed = client().get("/fail")
    assert failed.status_code == 500 and "Smith" not in failed.text
    assert "RuntimeError" in caplog.text and "Smith" not in caplog.text


def test_without_the_token_nothing_is_answered(monkeypatch):
    monkeypatch.setattr("einthoven.web.guard._WRONG_TOKEN_S", 0.0)
    visitor = client(Policy(token=TOKEN))
    for headers in (
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"cookie": "einthoven=guess"},
        {"cookie": f"einthoven={TOKEN}"},
    ):
        assert visitor.get("/options", headers=headers).status_code == 401
    assert visitor.get("/static/app.js").status_code == 401
    assert visitor.get("/?token=wrong-token-wrong-token").status_code == 401
    assert visitor.get(f"/options?token={TOKEN}").status_code == 401
    assert visitor.get("/options", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_becomes_a_cookie_and_leaves_the_address():
    visitor = client(Policy(token=TOKEN))
    first = visitor.get("/", params={"token": TOKEN})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
    assert visitor.get("/options").status_code == 200


def test_too_much_is_refused_whether_it_is_stated_or_not():
    visitor = client(Policy(max_upload=1000))
    assert visitor.post("/recordings", content=b"x" * 1000).text == "1000"
    assert visitor.post("/recordings", content=b"x" * 1001).status_code == 413
    assert visitor.post("/recordings", content=iter([b"x" * 600, b"x" * 600])).status_code == 413
    assert visitor.post("/recordings/id/jobs", content=b"x" * (LARGEST_REQUEST + 1)).status_code == 413
    assert visitor.post("/recordings", content=b"", headers={"content-length": "-1"}).status_code == 413


def test_tokens_that_can_be_guessed_are_refused():
    check_token(TOKEN)
    for token in ("short", "ä" * 20, "new\nline new\nline"):
        with pytest.raises(ValueError, match="token"):
            check_token(token)


def test_which_hosts_are_this_machine_alone():
    assert all(is_local(host) for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"))
    assert not any(is_local(host) for host in ("0.0.0.0", "::", "192.168.1.2", "ecg.example.org"))
