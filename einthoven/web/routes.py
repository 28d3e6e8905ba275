"""The server's routes: requests into calls of the service, results and mistakes into answers."""

import html
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import IO, Any

import anyio
from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from einthoven import __version__
from einthoven.ecg.formats.registry import FORMATS
from einthoven.ecg.leads import LEADS
from einthoven.ecg.writing import WRITERS
from einthoven.report.layouts import LAYOUTS
from einthoven.web import doors
from einthoven.web.downloads import TYPES, file_names
from einthoven.web.guard import FAILED
from einthoven.web.lanes import QUEUED, RUNNING, Busy
from einthoven.web.service import Service, check_options, wanted_leads
from einthoven.web.shelf import Held, Result
from einthoven.web.traces import View, cut
from einthoven.web.uploads import MOST_FILES

CAUTION = "Research only, not a medical device: not for diagnosis."
PAGE = Path(__file__).parent / "templates" / "index.html"
UPLOADS_AT_A_TIME = 4
_MADE = {"speed": (25.0, 50.0), "gain": (5.0, 10.0, 20.0)}


class Plain(Response):
    """Plain values as JSON, in ASCII, as names in files may hold what is no text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 (plain values)
        """Writes the values."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Routes:
    """Answers requests with what a service knows.

    Args:
        service: The service.
        max_upload: Most bytes of an upload, which the page tells.
    """

    def __init__(self, service: Service, max_upload: int) -> None:
        self.service, self.max_upload = service, max_upload
        self._uploads = anyio.CapacityLimiter(UPLOADS_AT_A_TIME)

    async def page(self, request: Request) -> Response:
        """The page."""
        formats = ", ".join(dict.fromkeys(fmt.name for fmt in FORMATS))
        facts = {"version": __version__, "max_upload_mb": f"{self.max_upload / 1e6:g}", "formats": formats}
        safe = {name: html.escape(text) for name, text in facts.items()}
        return HTMLResponse(Template(PAGE.read_text(encoding="utf-8")).substitute(safe))

    async def health(self, request: Request) -> Response:
        """That the server is there."""
        return Plain({"ok": True})

    async def options(self, request: Request) -> Response:
        """What the server can do."""
        return Plain(
            {
                "version": __version__,
                "max_upload_mb": self.max_upload / 1e6,
                "formats_read": list(dict.fromkeys(fmt.name for fmt in FORMATS)),
                "formats_written": [{"suffix": each[1:], "name": writer.name} for each, writer in WRITERS.items()],
                "leads": list(LEADS),
                "caution": CAUTION,
                "doors": {
                    "electrodes": doors.offers(doors.CHECK_ELECTRODES),
                    "measures": doors.offers(doors.MEASURE),
                },
            }
        )

    async def upload(self, request: Request) -> Response:
        """Takes in recordings."""
        if self._uploads.available_tokens < 1:
            raise HTTPException(429, "too many uploads at a time: try again in a moment")
        async with self._uploads:
            try:
                form = await request.form(max_files=MOST_FILES, max_fields=10, max_part_size=1000)
            except HTTPException as error:
                if error.status_code == 413:
                    raise
                raise HTTPException(400, "send files, as multipart/form-data, at most 200 at a time") from error
            try:
                files: list[tuple[str, IO[bytes]]] = [
                    (part.filename or "file", part.file)
                    for part in form.getlist("files")
                    if isinstance(part, UploadFile)
                ]
                if not files:
                    raise HTTPException(400, "no file has come: drop a recording")
                options = _reading_options({name: value for name, value in form.items() if isinstance(value, str)})
                return await self._take_in(files, options)
            finally:
                await form.close()

    async def demo(self, request: Request) -> Response:
        """Takes in the bundled ECG."""
        return await self._take_in([], {})

    async def summary(self, request: Request) -> Response:
        """What there is of a recording."""
        return Plain(self.service.summary(self._held(request)))

    async def remove(self, request: Request) -> Response:
        """Removes a recording."""
        held = self._held(request)
        await to_thread.run_sync(self.service.remove, held)
        return Response(status_code=204)

    async def signal(self, request: Request) -> Response:
        """What a picture needs of a signal."""
        held, query = self._held(request), request.query_params
        version = query.get("version", "before")
        result = None if version == "before" else self._result(held, query)
        if result is None and version != "before":
            raise HTTPException(404, "nothing was made of this recording yet: repair it first")
        if result is not None and version not in result.told["versions"]:
            raise HTTPException(
                404, f"this result has no {version[:40]!r}; it has {', '.join(result.told['versions'])}"
            )
        leads = held.facts["leads"] if result is None else result.told["leads"]
        file = (held.folder if result is None else result.folder) / f"{version}.npy"
        wanted = wanted_leads(query["leads"].split(","), leads) if "leads" in query else leads
        view = View(
            _number(query, "start", 0.0),
            _number(query, "duration", None),
            int(_number(query, "width", 1000.0)),
            _number(query, "low_pass", 0.0),
        )
        rate = held.facts["sampling_rate"]
        values = await to_thread.run_sync(cut, file, leads, wanted, rate, view)
        told = {"version": version, "result": None if result is None else result.job, "sampling_rate": rate, **values}
        return await to_thread.run_sync(Plain, told)

    async def start_job(self, request: Request) -> Response:
        """Puts a job into the queue."""
        held = self._held(request)
        try:
            asked = json.loads(await request.body())
        except ValueError as error:
            raise HTTPException(400, "say in JSON which job, such as {'kind': 'repair'}") from error
        if not isinstance(asked, dict):
            raise HTTPException(400, "say in JSON which job, such as {'kind': 'repair'}")
        kind = asked.pop("kind", None)
        options = check_options(kind, asked, held.facts["leads"])
        if kind in ("electrodes", "correct") and not doors.offers(doors.CHECK_ELECTRODES):
            raise HTTPException(400, "this version of Einthoven does not check electrodes")
        return Plain(self.service.tell(self.service.submit(held, str(kind), options)), 202)

    async def job(self, request: Request) -> Response:
        """How far a job is; of DELETE: it is cancelled first."""
        found = self.service.shelf.find_job(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "there is no such job, or no longer")
        _, job = found
        if request.method == "DELETE":
            await to_thread.run_sync(self.service.cancel, job)
        return Plain(self.service.tell(job))

    async def measures(self, request: Request) -> Response:
        """The measures of a recording or of a result."""
        held = self._held(request)
        before = request.query_params.get("version", "before") == "before"
        told = self.service.measures(held, None if before else self._result(held, request.query_params))
        return Plain(told, 202 if told["state"] in (QUEUED, RUNNING) else 200)

    async def file(self, request: Request) -> Response:
        """A file of a recording or of a result."""
        held, query, name = self._held(request), request.query_params, request.path_params["name"]
        result = None if query.get("result") == "none" else self._result(held, query)
        if "result" not in query and name not in file_names(None if result is None else result.kind):
            result = None
        if name not in file_names(None if result is None else result.kind):
            raise HTTPException(404, f"there is no file {name[:40]!r} of this")
        look = _look(query) if name.startswith("sheet.") else {}
        patient = query.get("patient") == "true"
        path = await self.service.make_file(held, result, name, look, patient=patient)
        media_type = TYPES.get(path.suffix, "application/octet-stream")
        clear = BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True)
        return FileResponse(path, media_type=media_type, filename=name, background=clear)

    async def _take_in(self, files: list[tuple[str, IO[bytes]]], options: Mapping[str, Any]) -> Response:
        try:
            held, problems = await self.service.take_in(files, options)
        except ValueError as error:
            return Plain({"error": str(error), "problems": []}, 422)
        if not held:
            first = problems[0]["message"] if problems else "there is no recording in it"
            return Plain({"error": first, "problems": problems}, 422)
        return Plain({"id": held[0].id, "ids": [each.id for each in held], "problems": problems}, 201)

    def _held(self, request: Request) -> Held:
        held = self.service.shelf.get(request.path_params["id"])
        if held is None:
            raise HTTPException(404, "there is no such recording, or no longer: drop it again")
        return held

    def _result(self, held: Held, query: Mapping[str, str]) -> Result | None:
        """Returns the result that a request names, the newest where it names none; None where there is none."""
        if "result" not in query:
            return held.results[-1] if held.results else None
        for result in held.results:
            if result.job == query["result"]:
                return result
        raise HTTPException(404, "there is no such result, or no longer")


async def explain(request: Request, error: Exception) -> Response:
    """Answers with what was wrong, in one line."""
    if isinstance(error, HTTPException):
        return Plain({"error": error.detail}, error.status_code, dict(error.headers or {}))
    if isinstance(error, Busy):
        return Plain({"error": "the server has enough to do: try again in a moment"}, 503)
    return Plain({"error": " ".join(str(error).split())}, 400)


async def fail(request: Request, error: Exception) -> Response:
    """Answers that something went wrong, and not what: that may hold what stands in a file."""
    return Plain({"error": FAILED}, 500)


def _number(query: Mapping[str, str], name: str, default: Any) -> Any:  # noqa: ANN401 (a number, or the default)
    if name not in query:
        return default
    try:
        number = float(query[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number")
    return number


def _look(query: Mapping[str, str]) -> dict[str, Any]:
    """Returns how a sheet is drawn."""
    look: dict[str, Any] = {"start": _number(query, "start", 0.0)}
    for name, choices in _MADE.items():
        if name in query:
            look[name] = _number(query, name, None)
            if look[name] not in choices:
                raise ValueError(f"{name} must be {', '.join(f'{choice:g}' for choice in choices)}")
    if "layout" in query:
        look["layout"] = query["layout"]
        if look["layout"] not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}")
    return look


def _reading_options(fields: Mapping[str, str]) -> dict[str, Any]:
    """Returns what is said of files that do not say it themselves."""
    options: dict[str, Any] = {}
    if fields.get("sampling_rate"):
        options["sampling_rate"] = _number(fields, "sampling_rate", None)
    if fields.get("unit"):
        options["unit"] = fields["unit"][:20]
    return options
