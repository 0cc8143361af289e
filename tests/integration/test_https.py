#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources that are a real web server behind TLS: who is trusted, and what is said of who is not."""
import shutil
import sys

from sluice import Client, Feed, Sluiced, folder, knows_http
import tap
from tap import equal
from web import NGINX, Nginx, Web, certificate

SLUICED = sys.argv[1]
SERVER = """location / { return 200 '{"over": "$scheme", "n": $connection_requests}'; }"""
UNTRUSTED = ("UNAVAILABLE", "its certificate is not trusted")
LIMITS = "limits: {deadline: 60s, max_deadline: 60s}\n"


def source(url, options=""):
    """A configuration; the source's options are in line 4."""
    return f"{LIMITS}sources: {{south: {{http: '{url}/'{options}}}}}\n" \
           "pipelines: {quote: {steps: [{fanout: {to: [south], wait: any}}]}}\n"


def over(stack, url, options=""):
    daemon = Sluiced(stack, SLUICED, source(url, options))
    return Client(stack, daemon), Feed(stack, daemon)


def cause(client):
    first, = client.call("quote").body["causes"]
    return first["status"], first["error"]


def test_what_has_signed_itself_is_not_trusted(stack):
    nginx = Nginx(stack, SERVER, signed=certificate(folder(stack), "here", "IP:127.0.0.1"))
    client, feed = over(stack, nginx.url)
    for _ in range(2):
        equal(cause(client), UNTRUSTED)
    stats = feed.stats()["sources"]["south"]
    equal([stats[name] for name in ("up", "asked", "answered", "lost")], [False, 2, 0, 2])


def test_what_is_trusted(stack):
    signed = certificate(folder(stack), "here", "IP:127.0.0.1")
    nginx = Nginx(stack, SERVER, signed=signed)
    client, feed = over(stack, nginx.url, f", required: true, ca: '{signed}.pem'")
    for n in range(1, 4):
        equal(client.call("quote").body, {"over": "https", "n": n})
    stats = feed.stats()["sources"]["south"]
    equal([stats[name] for name in ("up", "asked", "answered", "connected")], [True, 3, 3, 1])


def test_others_are_not_trusted(stack):
    """Neither by the certificate of another, nor for another host."""
    directory = folder(stack)
    here, there = certificate(directory, "here", "IP:127.0.0.1"), certificate(directory, "there", "DNS:there.example")
    for signed, trusted in ((here, there), (there, there)):
        client, _ = over(stack, Nginx(stack, SERVER, signed=signed).url, f", ca: '{trusted}.pem'")
        equal(cause(client), UNTRUSTED)


def test_who_does_not_speak_it(stack):
    web = Web(stack, probed=False)
    daemon = Sluiced(stack, SLUICED, source(f"https://127.0.0.1:{web.port}"))
    client = Client(stack, daemon)
    client.ask("quote", "a")
    for _ in range(2):  # the one that is made at the start, and that of the question
        connection = web.accept()
        connection.say("HTTP/1.1 400 Speak HTTP\r\n\r\n")
        connection.close()
    first, = client.hear().body["causes"]
    equal((first["status"], first["error"]), ("UNAVAILABLE", "does not speak TLS"))


def test_files_that_hold_no_certificate(stack):
    directory = folder(stack)
    (directory / "empty.pem").write_text("not a certificate\n")
    nginx = Nginx(stack, SERVER, signed=certificate(directory, "here", "IP:127.0.0.1"))
    client, _ = over(stack, nginx.url, f", ca: '{directory}/empty.pem'")
    equal(cause(client), ("UNAVAILABLE", "the file that `ca` names holds no certificate"))


def ends(stack, text):
    """What a daemon says that does not get ready."""
    daemon = Sluiced(stack, SLUICED, text, ready=False)
    equal(daemon.comes_up(), False)
    equal(daemon.process.returncode, 1)
    return daemon.log.lines[-1]


def test_a_file_that_is_not_there(stack):
    url = "https://127.0.0.1:1"
    equal(ends(stack, source(url, ", ca: none.pem")),
          f'sluice.yaml:4:{len(f"sources: {{south: {{http: 0{url}/0, ca: ") + 1}: error: "none.pem" cannot be read: '
          'No such file or directory')


def test_who_is_required_and_not_trusted(stack):
    nginx = Nginx(stack, SERVER, signed=certificate(folder(stack), "here", "IP:127.0.0.1"))
    said = ends(stack, "start_timeout: 3s\n" + source(nginx.url, ", required: true"))
    assert '"south" is required and is not ready (its certificate is not trusted): it was waited for' in said, said


if not knows_http(SLUICED):
    tap.skip("this build has no HTTP sources")
if not NGINX:
    tap.skip("nginx is not there (Debian's nginx-light)")
if not shutil.which("openssl"):
    tap.skip("openssl is not there (Debian's openssl)")
tap.run([
    test_what_has_signed_itself_is_not_trusted, test_what_is_trusted, test_others_are_not_trusted,
    test_who_does_not_speak_it, test_files_that_hold_no_certificate, test_a_file_that_is_not_there,
    test_who_is_required_and_not_trusted,
])
