"""Serves the operator's own pages: the files in the folder `server.static`.

Owns which of these files are served, and how browsers cache them. Must not know their content, nor the sockets.
"""

import mimetypes
import os
from collections.abc import Awaitable, Generator
from pathlib import Path
from typing import Any

from tornado.web import HTTPError, StaticFileHandler

from pgrpc.web import context, pages


def _types() -> mimetypes.MimeTypes:
    """Python's built-in table, without the machine's, plus types that some versions lack."""
    table = mimetypes.MimeTypes()
    for ending, name in {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".map": "application/json",
        ".md": "text/markdown",
        ".webmanifest": "application/manifest+json",
        ".webp": "image/webp",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }.items():
        table.add_type(name, ending)
    return table


_TYPES = _types()


class File(pages.Page, StaticFileHandler):
    """A file, or the index.html of a folder. 404 if it does not exist, is outside, or a name begins with a dot.

    It gets no Content-Security-Policy: the page may set one itself.
    """

    headers = pages.HEADERS

    def initialize(self, shared: context.Context) -> None:  # type: ignore[override]
        pages.Page.initialize(self, shared)
        StaticFileHandler.initialize(self, str(shared.server.static), "index.html")

    def head(self, path: str) -> Awaitable[None]:
        """Without reading the file."""
        return StaticFileHandler.head(self, path)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Tornado follows no symbolic link out of the folder; this also follows none to a hidden file in it."""
        if "\0" in absolute_path or _is_hidden(Path(self.path)):
            raise HTTPError(404)
        if self.path.endswith("/") and not os.path.isdir(absolute_path):  # the page's relative URLs would be wrong
            raise HTTPError(404)
        file = super().validate_absolute_path(root, absolute_path)
        if file is not None and (_is_hidden(Path(file).relative_to(os.path.realpath(root))) or not _readable(file)):
            raise HTTPError(404)
        return file

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """At most as many bytes as the file had: it may grow while it is being sent."""
        return super().get_content(abspath, start, os.stat(abspath).st_size if end is None else end)

    def compute_etag(self) -> str:
        """From time and size: Tornado hashes the content only once, and would keep the hash of a changed file."""
        status = self._stat()
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'

    def get_cache_time(self, path: str, modified: Any, mime_type: str) -> int:
        """No cache time, also for URLs with a version (?v=), so that browsers notice a change."""
        return 0

    def get_content_type(self) -> str:
        kind, encoding = _TYPES.guess_type(str(self.absolute_path))
        if kind is None or encoding is not None:
            return "application/octet-stream"
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    def log_exception(self, *exception: Any) -> None:
        """HTTP errors are not logged: the URL can contain a secret."""
        if not isinstance(exception[1], HTTPError):
            super().log_exception(*exception)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK)
