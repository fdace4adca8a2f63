"""Files on a server of pytest-httpserver that behaves well or badly, for the tests of downloads."""

import re
import threading

from werkzeug import Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.utils import redirect


class Site:
    """What a server holds (name -> bytes), and how it behaves."""

    def __init__(self, server, files):
        self.files = files
        self.ranges = True
        self.cut_after = None  # Bytes of a body after which the connection is closed.
        self.hang_after = None  # Bytes of a body after which nothing more comes.
        self.without_length = False
        self.redirect = {}
        self.status = {}
        self.released = threading.Event()
        self.url = server.url_for("").rstrip("/")
        self._server = server
        server.clear()
        server.expect_request(re.compile("")).respond_with_handler(self._answer)

    @property
    def requests(self):
        """The path and the Range header of each request."""
        return [(each.path[1:], each.headers.get("Range")) for each, _ in self._server.log]

    def asked(self, path):
        return [header for asked, header in self.requests if asked == path]

    def _answer(self, request):
        path = request.path[1:]
        if path in self.redirect:
            return redirect(self.redirect[path])
        if path in self.status or path not in self.files:
            return Response(status=f"{self.status.get(path, 404)} refused")
        response = Response(self.files[path])
        if self.ranges:
            try:
                response.make_conditional(request, True, len(self.files[path]))
            except RequestedRangeNotSatisfiable as error:
                return error.get_response()
        body = response.get_data()
        response.content_length = None if self.without_length else len(body)
        response.response = self._pieces(body)
        return response

    def _pieces(self, body):
        limits = [limit for limit in (self.cut_after, self.hang_after) if limit is not None]
        yield body[: min([len(body), *limits])]
        if self.hang_after is not None:
            self.released.wait(60)
