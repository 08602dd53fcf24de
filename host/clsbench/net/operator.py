"""The operator's socket of a role: HTTP on a unix domain socket that only its owner may open.

Both ends, of every role that has one. Errors are {"error": text}: 400 (content), 404 (unknown
thing), 403 (refused by the other side), 409 (known with other content), 504 (no answer in time).
Knows no question.
"""

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from clsbench.errors import BadInput, ClsbenchError, EnvironmentProblem, PeerRefused, PeerSilent

ANSWER_WITHIN_S = 90.0  # more than a command's deadline
MAX_SOCKET_PATH = 100  # a unix socket's path fits 107 bytes on Linux, 103 on macOS

_STATUS = ((BadInput, 400), (PeerRefused, 403), (PeerSilent, 504))
CONFLICT = 409

Kinds = tuple[type[ClsbenchError], ...]
_ERRORS = {400: BadInput, 404: BadInput, 409: PeerRefused, 403: PeerRefused, 504: PeerSilent}


def short_path(path: str) -> str:
    """`path` when a socket can have it. Raises ValueError."""
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ValueError(f"{path} is longer than {MAX_SOCKET_PATH} bytes, give a shorter path")
    return path


class OperatorServer:
    """Serves one socket file with these routes; `start` makes it, `stop` removes it.

    role: as in `clsbench ROLE serve`, for error texts. conflicts: errors answered with 409.
    """

    def __init__(self, role: str, path: str, routes: list[web.RouteDef], conflicts: Kinds = ()):
        self._role = role
        self._path = path
        self._routes = routes
        self._statuses = (*((kind, CONFLICT) for kind in conflicts), *_STATUS)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises EnvironmentProblem where another process serves the socket."""
        app = web.Application(middlewares=[self._errors])
        app.router.add_routes(self._routes)
        listener = _private_socket(self._path, self._role)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Closes the socket and removes its file."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            _remove(self._path)

    @web.middleware
    async def _errors(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)
        except ClsbenchError as error:
            status = next((n for kind, n in self._statuses if isinstance(error, kind)), 500)
            return web.json_response({"error": str(error)}, status=status)


class OperatorAsker:
    """The asking end. `async with` it; role: whose socket it is, for error texts."""

    def __init__(self, role: str, socket: str, timeout_s: float = ANSWER_WITHIN_S):
        self._role = role
        self._path = socket
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            base_url="http://operator",
            connector=aiohttp.UnixConnector(path=self._path),
            timeout=self._timeout,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Any:
        """The answer's JSON. Raises BadInput, PeerRefused, PeerSilent as the other end did,
        EnvironmentProblem where nobody serves the socket."""
        if self._session is None:
            raise BadInput("operator: use it in `async with`")
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        who = f"{self._role} at {self._path}"
        try:
            async with self._session.request(method, path, json=content, params=given) as answer:
                body = await answer.json()
        except aiohttp.ClientConnectorError as error:
            raise EnvironmentProblem(
                f"no {self._role} answers at {self._path}: "
                f"start it with clsbench {self._role} serve --config FILE"
            ) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise PeerSilent(f"{who} did not finish {path}: {error!r}") from error
        if answer.status != 200:
            raise _ERRORS.get(answer.status, PeerRefused)(body.get("error", f"{answer.status}"))
        return body


async def content_of(
    request: web.Request, kinds: dict[str, type], needed: tuple[str, ...]
) -> dict[str, Any]:
    """The JSON object of a request: only these keys, of these types. Raises BadInput."""
    try:
        content = await request.json()
    except ValueError as error:
        raise BadInput(f"body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput("body is no JSON object")
    for name, value in content.items():
        if name not in kinds or type(value) is not kinds[name]:
            raise BadInput(f"key {name}: not known or not {kinds.get(name, str).__name__}")
    for name in needed:
        if name not in content:
            raise BadInput(f"key {name} is missing")
    return content


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _private_socket(path: str, role: str) -> socket.socket:
    """A bound socket file of mode 0600; a stale file of an ended process is replaced."""
    if Path(path).is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise EnvironmentProblem(f"{path}: another {role} serves this operator socket")
        _remove(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(f"operator socket {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener
