"""The application: routes behind the guard, and the service that lives as long as it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from einthoven.web.child import ChildSettings
from einthoven.web.guard import Guard, Policy
from einthoven.web.lanes import Busy, Lane
from einthoven.web.routes import Routes, explain, fail
from einthoven.web.service import Queues, Service
from einthoven.web.shelf import Shelf

STATIC = Path(__file__).parent / "static"
TIDY_EVERY_S = 30.0
READER_MEMORY = 3.0
"""So many times the size of a decoded recording may a reader take."""


@dataclass(frozen=True)
class Limits:
    """How much the server takes and keeps.

    Attributes:
        max_upload: Most bytes of an upload.
        max_decoded: Most bytes of what is unpacked of it, and of a recording's samples.
        keep_s: Seconds after its last use that a recording is kept.
    """

    max_upload: int = 200_000_000
    max_decoded: int = 1_000_000_000
    keep_s: float = 3600.0


def start_service(limits: Limits) -> Service:
    """Makes a service with its processes."""
    shelf = Shelf(limits.keep_s)
    memory = int(READER_MEMORY * limits.max_decoded) + 500_000_000
    reader = ChildSettings(shelf.folder / "reader", "einthoven.web.reading.warm_up", memory)
    worker = ChildSettings(shelf.folder / "worker", "einthoven.web.tasks.warm_up")
    clerk = ChildSettings(shelf.folder / "clerk")
    queues = Queues(Lane("reader", reader), Lane("worker", worker), Lane("clerk", clerk, early=False))
    return Service(shelf, queues, limits.max_decoded)


def make_app(service: Service, policy: Policy) -> Guard:
    """Makes the application of a service, which it closes at its end."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tidying = asyncio.create_task(service.tidy(TIDY_EVERY_S))
        try:
            yield
        finally:
            tidying.cancel()
            with suppress(asyncio.CancelledError):
                await tidying
            await asyncio.to_thread(service.close)

    routes = Routes(service, policy.max_upload)
    table = [
        Route("/", routes.page),
        Route("/healthz", routes.health),
        Route("/options", routes.options),
        Route("/recordings", routes.upload, methods=["POST"]),
        Route("/recordings/demo", routes.demo, methods=["POST"]),
        Route("/recordings/{id}", routes.summary),
        Route("/recordings/{id}", routes.remove, methods=["DELETE"]),
        Route("/recordings/{id}/signal", routes.signal),
        Route("/recordings/{id}/jobs", routes.start_job, methods=["POST"]),
        Route("/recordings/{id}/measures", routes.measures),
        Route("/recordings/{id}/files/{name}", routes.file),
        Route("/jobs/{id}", routes.job, methods=["GET", "DELETE"]),
        Mount("/static", Files(directory=STATIC, check_dir=False)),
    ]
    handlers = {HTTPException: explain, ValueError: explain, Busy: explain, Exception: fail}
    return Guard(Starlette(routes=table, exception_handlers=handlers, lifespan=lifespan), policy)


class Files(StaticFiles):
    """The page's own files, which a browser asks for anew, so that they fit the server."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Returns a file."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
