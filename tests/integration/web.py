# SPDX-License-Identifier: Apache-2.0
"""A web server that says what a test tells it to, byte by byte, when it tells it to; and a real one."""
import collections
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess

from sluice import TIMEOUT, folder
from tap import equal

Request = collections.namedtuple("Request", "method target headers body")


class Connection:
    """One that was accepted."""

    def __init__(self, stack, sock):
        self.socket = stack.enter_context(sock)
        self.socket.settimeout(TIMEOUT)
        self.input = b""

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.input)
        self.input += data

    def hear(self):
        """The next request, its headers with names in lower case."""
        while b"\r\n\r\n" not in self.input:
            self._more()
        head, _, self.input = self.input.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        method, target, version = line.split(" ")
        equal(version, "HTTP/1.1")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", 0))
        while len(self.input) < size:
            self._more()
        body, self.input = self.input[:size], self.input[size:]
        return Request(method, target, headers, body.decode())

    def say(self, data):
        """As it is. A peer that does not want it any more is no error."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def answer(self, body, code=200, headers=""):
        body = body if isinstance(body, str) else json.dumps(body)
        self.say(f"HTTP/1.1 {code} X\r\nContent-Length: {len(body.encode())}\r\n{headers}\r\n{body}")

    def hear_close(self):
        """Nothing more comes, and the other end is closed."""
        with contextlib.suppress(ConnectionResetError):
            equal(self.socket.recv(1), b"")

    def close(self):
        self.socket.close()


class Web:
    """Nobody is answered unless the test does it. A daemon connects once when it starts, and asks nothing; that
    connection is taken with the first one that is wanted."""

    def __init__(self, stack, probed=True):
        self.stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(TIMEOUT)
        self.port = self.listener.getsockname()[1]
        self.probed = not probed

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def accept(self):
        if not self.probed:
            self.probed = True
            self.accept().hear_close()
        return Connection(self.stack, self.listener.accept()[0])

    def waits(self):
        """Whether somebody has connected who was not accepted."""
        return bool(select.select([self.listener], [], [], 0)[0])

    def hear(self):
        """A new connection, and the first request on it."""
        connection = self.accept()
        return connection, connection.hear()


NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

NGINX_CONF = """
daemon off;
worker_processes 1;{user}
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a;
  proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d;
  scgi_temp_path {folder}/e;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port}{tls};
    {server}
  }}
}}
"""


TLS = """ ssl;
    ssl_certificate {0}.pem;
    ssl_certificate_key {0}.key"""


def certificate(directory, name, *hosts):
    """A certificate that has signed itself, NAME.pem with NAME.key, for `DNS:…` and `IP:…`; its path without the end."""
    path = directory / name
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(hosts)}", "-keyout", f"{path}.key",
         "-out", f"{path}.pem"], check=True, capture_output=True, timeout=TIMEOUT)
    return path


class Nginx:
    """The real thing, in a folder of its own, with what `server` says; over TLS with a certificate. It inherits its listening socket, as from the
    process that it would replace, so nobody can take its port in between."""

    def __init__(self, stack, server, files=(), signed=None):
        self.folder = folder(stack)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = listener.getsockname()[1]
        self.url = f"{'https' if signed else 'http'}://127.0.0.1:{self.port}"
        for name, text in dict(files).items():
            (self.folder / name).write_text(text)
        path = self.folder / "nginx.conf"
        path.write_text(NGINX_CONF.format(
            folder=self.folder, port=self.port, user=" user root;" if os.geteuid() == 0 else "",
            server=server.replace("FOLDER", str(self.folder)), tls=TLS.format(signed) if signed else ""))
        os.set_inheritable(listener.fileno(), True)
        self.process = subprocess.Popen(
            [NGINX, "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(path)],
            env={**os.environ, "NGINX": f"{listener.fileno()};"}, pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE, text=True)
        stack.callback(self._stop)

    def _stop(self):
        self.process.terminate()
        said = self.process.communicate(timeout=TIMEOUT)[1]
        equal((self.process.returncode, said), (0, ""))
