"""The example of deploy/ at work: nginx with TLS in front of gunicorn on a socket, for browsers and for others."""

import http.client
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import rater
from tests.conftest import CHROMIUM_ARGUMENTS
from tests.site.parts import (
    ROOT,
    Site,
    environment_of,
    listens,
    port_find,
    python,
    running,
    serving,
    wait_until,
)
from tests.site.test_deploy_files import example_variables
from tests.site.test_whole_site import make_photos, sign_in

pytestmark = [
    pytest.mark.site,
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed; run tests/site/ensure_parts.sh"),
]

HOST = "study.example.org"
TEST, GOLDEN = 2, 1
MAKE = f"""
import django; django.setup()
from evalsite.celery import app
from tests.factories import make_small_study
app.conf.update(task_always_eager=True, task_eager_propagates=True)
study = make_small_study(practice_count=0, test_count={TEST}, golden_count={GOLDEN}, lead_in_ms=100, exposure_ms=50)
print(study.code)
"""
LOOK = """
import django; django.setup()
from studies.models import Response, SignInAttempt
counted = SignInAttempt.objects.filter(subject="address").values_list("at__date", "digest")
print(Response.objects.count(), len(counted), len(set(counted)) - len({day for day, _ in counted}))
"""
IN_DEBIAN = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    gzip on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    {server}
}}
"""
"""What Debian's nginx.conf puts around a file in sites-enabled, compression included."""


@dataclass(frozen=True)
class Proxied:
    """A site behind nginx.

    Attributes:
        site: As it is reached from outside, under its own name.
        environment: Of its processes.
        study: Code of an open study.
        plain: Port of plain HTTP.
        secure: Port of HTTPS.
        certificate: What vouches for it.
    """

    site: Site
    environment: dict[str, str]
    study: str
    plain: int
    secure: int
    certificate: Path

    def ask(
        self, path: str, *, verb: str = "GET", body: str = "", is_secure: bool = True, **headers: str
    ) -> tuple[int, Message, bytes]:
        """Ask as a browser would that has found the host; names of headers are written with `_`."""
        named = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
        raw = socket.create_connection(("127.0.0.1", self.secure if is_secure else self.plain), timeout=60)
        connection = http.client.HTTPConnection(HOST)
        connection.sock = raw
        if is_secure:
            context = ssl.create_default_context(cafile=str(self.certificate))
            connection.sock = context.wrap_socket(raw, server_hostname=HOST)
        with closing(connection):
            connection.request(verb, path, body, named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()


@pytest.fixture(scope="module")
def proxied() -> Iterator[Proxied]:
    """Serve an embedded site, with the variables of the example, by nginx with the example's file."""
    with tempfile.TemporaryDirectory(prefix="evalsite-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # nginx has an account of its own, and passes through to the socket
        given = {name: value for name, value in example_variables().items() if value}
        for ours in ("DATABASE_URL", "EVALSITE_BROKER_URL", "EVALSITE_DATA_DIR", "EVALSITE_METRICS_DIR"):
            del given[ours]
        given |= {"EVALSITE_SECRET_KEY": secrets.token_urlsafe(50), "EVALSITE_METRICS_TOKEN": "t"}
        environment = environment_of(folder / "data", **given)
        certificate = certificate_make(folder)
        ports = port_find(), port_find()
        with serving(environment, logs=folder, workers={"worker": "celery"}, also_at=f"unix:{folder}/web.sock") as site:
            study = python("-c", MAKE, environment=environment).split()[-1]
            command = ["nginx", "-c", str(configuration_write(folder, plain=ports[0], secure=ports[1]))]
            with running(command, log=folder / "nginx.log") as process:
                wait_until(lambda: listens(ports[1]), what="nginx", process=process)
                outside = replace(site, url=f"https://{HOST}")
                yield Proxied(outside, environment, study, *ports, certificate)
        sys.stdout.write((folder / "nginx.log").read_text())


def certificate_make(folder: Path) -> Path:
    key, certificate = folder / "privkey.pem", folder / "fullchain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}"]
    make += ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    return certificate


def configuration_write(folder: Path, *, plain: int, secure: int) -> Path:
    """Put the example into a server of its own: other paths and ports, and not a word else."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for theirs, ours in {
        "server 127.0.0.1:8000;": f"server unix:{folder}/web.sock;",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ": f"listen 127.0.0.1:{secure} ",
        "/etc/ssl/evalsite": str(folder),
        "/var/log/nginx": str(folder),
    }.items():
        assert text.count(theirs) >= 1, theirs
        text = text.replace(theirs, ours)
    text = re.sub(r" *listen \[::\].*\n", "", text)
    user = "user www-data;" if os.getuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(IN_DEBIAN.format(user=user, folder=folder, server=text), encoding="utf-8")
    return path


def test_plain_http_leads_to_https_and_a_browser_that_came_stays_there(proxied: Proxied) -> None:
    entry = f"/s/{proxied.study}/?PROLIFIC_PID=p1"
    status, headers, _ = proxied.ask(entry, is_secure=False, X_Forwarded_Proto="https")
    assert (status, headers["Location"]) == (308, f"https://{HOST}{entry}")
    status, headers, _ = proxied.ask(f"/s/{proxied.study}/", X_Forwarded_Proto="http")  # nginx says what is true
    assert status == 200
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_what_a_supervisor_asks_is_not_there_from_outside(proxied: Proxied, path: str) -> None:
    assert proxied.ask(path, Authorization="Bearer t")[0] == 404
    assert proxied.ask("/healthz")[0] == 200


def test_pages_are_not_compressed_and_static_files_are_kept_for_ever(proxied: Proxied) -> None:
    status, headers, page = proxied.ask(f"/s/{proxied.study}/", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"], "no-store" in headers["Cache-Control"]) == (200, None, True)
    found = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page.decode())
    assert found is not None, page
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        status, headers, _ = proxied.ask(found[1], Accept_Encoding=accepted)
        assert (status, headers["Content-Encoding"]) == (200, encoding)
        assert "immutable" in headers["Cache-Control"]


def test_requests_that_bring_too_much_are_refused_by_nginx_or_by_the_site(proxied: Proxied) -> None:
    """The length alone is sent: nobody reads a gigabyte to refuse it."""
    entry = f"/s/{proxied.study}/"
    assert proxied.ask(entry, verb="POST", Content_Length=str(2**30 + 1))[0] == 413
    form = '--x\r\nContent-Disposition: form-data; name="agrees"; filename="a"\r\n\r\n{}\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    assert proxied.ask(entry, verb="POST", body=form.format("x" * 2_000_000), Content_Type=kind)[0] == 400


def test_addresses_that_a_browser_makes_up_count_as_the_one_that_nginx_sees(proxied: Proxied) -> None:
    for address in ("198.51.100.7", "203.0.113.9"):
        _, headers, page = proxied.ask("/admin/login/")
        cookie = str(headers["Set-Cookie"]).partition(";")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())
        assert token is not None
        form = f"csrfmiddlewaretoken={token[1]}&username=nobody&password=wrong"
        status, *_ = proxied.ask(
            "/admin/login/",
            verb="POST",
            body=form,
            Cookie=cookie,
            Origin=f"https://{HOST}",
            Content_Type="application/x-www-form-urlencoded",
            X_Forwarded_For=address,
        )
        assert status == 200  # the form again, with the reason
    # Digests are of a day: each has one for both.
    assert python("-c", LOOK, environment=proxied.environment).split()[-2:] == ["2", "0"]


def test_a_rater_takes_part_and_a_researcher_signs_in_and_uploads(
    proxied: Proxied, chromium: Browser, tmp_path: Path
) -> None:
    """In a real browser that finds the host at nginx's ports, beginning on plain HTTP."""
    rules = f"MAP {HOST}:443 127.0.0.1:{proxied.secure}, MAP {HOST}:80 127.0.0.1:{proxied.plain}"
    arguments = [*CHROMIUM_ARGUMENTS, f"--host-resolver-rules={rules}"]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=arguments)
    try:
        voter = browser.new_context(ignore_https_errors=True, locale="en")
        page = voter.new_page()
        brought: list[tuple[str, str | None, str | None]] = []
        page.on(
            "response",
            lambda got: brought.append((got.url, got.headers.get("content-encoding"), got.headers.get("content-type"))),
        )
        page.goto(f"http://{HOST}/s/{proxied.study}/")
        assert page.url == f"https://{HOST}/s/{proxied.study}/"
        rater.consent(page)
        page.keyboard.press("Enter")
        for i in range(TEST + GOLDEN):
            rater.wait_for_choice(page)
            page.keyboard.press("12"[i % 2])
        expect(page.locator("#code")).to_be_visible()
        assert voter.cookies() == []
        pictures = [encoding for url, encoding, _ in brought if "/r/" in url]
        assert len(pictures) > TEST, brought
        assert set(pictures) == {None}
        voted = int(python("-c", LOOK, environment=proxied.environment).split()[-3])
        assert voted == TEST + GOLDEN

        office = browser.new_context(ignore_https_errors=True, base_url=proxied.site.url)
        page = office.new_page()
        sign_in(page, proxied.site)
        make_photos(page, tmp_path, name="Behind nginx", count=3, seed=40)
        cookies = office.cookies()
        assert {cookie["name"] for cookie in cookies} == {"__Host-evalsite-session", "__Host-evalsite-csrf"}
        assert all(cookie["secure"] and cookie["domain"] == HOST for cookie in cookies)
    finally:
        browser.close()
