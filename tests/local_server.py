"""HTTP servers on loopback that behave well or badly, for the tests of downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What a server holds, how it behaves, and what it was asked for."""

    def __init__(self, files):
        self.files = files
        self.ranges = True
        self.cut_after = None  # Bytes of a body after which the connection is closed.
        self.hang_after = None  # Bytes of a body after which nothing more comes.
        self.without_length = False
        self.redirect = {}
        self.status = {}
        self.requests = []  # (path, Range header)
        self.released = threading.Event()
        self.url = ""

    def asked(self, path):
        return [header for asked, header in self.requests if asked == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self):
        site, path = self.site, self.path.lstrip("/")
        site.requests.append((path, self.headers.get("Range")))
        self.close_connection = True
        if path in site.redirect:
            self.send_response(302)
            self.send_header("Location", site.redirect[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path in site.status or path not in site.files:
            self.send_error(site.status.get(path, 404))
            return
        body = site.files[path]
        start = self._start(len(body))
        if start is None:
            return
        self._send_body(body[start:])

    def _start(self, size):
        wanted = self.headers.get("Range")
        if not (wanted and self.site.ranges):
            self.send_response(200)
            self._send_length(size)
            return 0
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= size:
            self.send_error(416)
            return None
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self._send_length(size - start)
        return start

    def _send_length(self, size):
        if not self.site.without_length:
            self.send_header("Content-Length", str(size))
        self.end_headers()

    def _send_body(self, body):
        site = self.site
        limits = [limit for limit in (site.cut_after, site.hang_after) if limit is not None]
        self.wfile.write(body[: min([len(body), *limits])])
        self.wfile.flush()
        if site.hang_after is not None:
            site.released.wait(30)

    def log_message(self, *arguments):
        """Keep the test output clean."""


@contextmanager
def serving(files, tls=None):
    """Serve `files` (name -> bytes) and yield the Site; `tls` is an SSL context."""
    site = Site(files)
    handler = type("Handler", (_Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        site.url = f"{scheme}://localhost:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.released.set()
            server.shutdown()
            thread.join(10)
