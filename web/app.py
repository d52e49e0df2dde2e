"""The addresses of the live page, and what each answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from files.messages import shortened
from files.reading import parse_json
from report import page_style, words_script
from report.page_parts import fill, stage_markup
from web.captioners import Captioners
from web.examples import list_examples
from web.explaining import Question, explain_caption, explain_words, find_caption
from web.guard import Guard
from web.photos import MOST_BYTES, GoneError, Photo, Photos
from web.turns import BusyError, Event, Turns

HERE = Path(__file__).parent
MOST_QUESTION = 20_000  # bytes of a question
MOST_RECEIVED = 4  # photographs at a time
SECONDS_TO_SEND = 60


def page_markup() -> str:
    """Returns the page, with the stage that it shares with the report."""
    return fill((HERE / "index.html").read_text(), {"stage": stage_markup()})


ASSETS: dict[str, tuple[str, Callable[[], str]]] = {  # media type, and the content
    "/": ("text/html", page_markup),
    "/page.css": ("text/css", (HERE / "page.css").read_text),
    "/page.js": ("text/javascript", (HERE / "page.js").read_text),
    "/questions.js": ("text/javascript", (HERE / "questions.js").read_text),
    "/report.css": ("text/css", page_style),
    "/words.js": ("text/javascript", words_script),
}
COMPUTED = {
    "/caption": find_caption,
    "/explanation": explain_words,
    "/report": explain_caption,
}


class LivePage:
    """Answers the requests of the page.

    Args:
        captioners: Those that the page offers.
        photos: Those that were sent.
        turns: Of the computations.
    """

    def __init__(self, captioners: Captioners, photos: Photos, turns: Turns):
        self._captioners, self._photos, self._turns = captioners, photos, turns
        self._examples = list_examples()
        self._receiving = asyncio.Semaphore(MOST_RECEIVED)

    @property
    def routes(self) -> list[Route]:
        """Every address with its answer."""
        return [
            *(Route(path, partial(_answer_asset, path)) for path in ASSETS),
            Route("/choices", self.list_choices),
            Route("/examples/{name}", self.read_example),
            Route("/photos", self.take_photo, methods=["POST"]),
            *(
                Route(path, partial(self.compute, work), methods=["POST"])
                for path, work in COMPUTED.items()
            ),
        ]

    async def list_choices(self, request: Request) -> Response:
        """Says what can be chosen."""
        examples = [
            {"name": example.name, "captioner": example.captioner}
            for example in self._examples.values()
        ]
        return JSONResponse(
            {
                "captioners": self._captioners.names,
                "examples": examples,
                "most_bytes": MOST_BYTES,
                "most_photos": self._photos.most,
            }
        )

    async def read_example(self, request: Request) -> Response:
        """Returns an example image."""
        example = self._examples.get(request.path_params["name"])
        if example is None:
            raise HTTPException(404, "There is no such example.")
        content = await run_in_threadpool(example.read)
        return Response(content, media_type=example.media_type)

    async def take_photo(self, request: Request) -> Response:
        """Keeps the body, the bytes of an image file, and returns its key."""
        name = shortened(request.query_params.get("name") or "the photograph")
        try:
            async with self._receiving, asyncio.timeout(SECONDS_TO_SEND):
                content = await read_body(request, MOST_BYTES)
        except TimeoutError as error:
            raise HTTPException(408, f"{name} took too long to arrive.") from error
        if not content:
            raise HTTPException(400, f"{name} is empty; expected an image file.")
        return JSONResponse({"photo": self._photos.add(Photo(name, content))})

    async def compute(self, work: Callable, request: Request) -> Response:
        """Answers a question in lines of JSON, one for each event of `Turns.enter`."""
        content = await read_body(request, MOST_QUESTION)
        try:
            question = Question.read(parse_json(content))
        except ValueError as error:
            raise HTTPException(400, f"The question is wrong: {error}.") from error
        photo = self._photos.get(question.photo)
        events = self._turns.enter(partial(work, self._captioners, photo, question))
        return StreamingResponse(_lines(events), media_type="application/x-ndjson")


def make_app(
    captioners: Captioners,
    host: str = "127.0.0.1",
    photos: Photos | None = None,
    turns: Turns | None = None,
) -> Starlette:
    """Makes the application that a server runs.

    Args:
        captioners: Those that the page offers.
        host: The address or name that the server listens on.
        photos: Where those that are sent are kept.
        turns: Of the computations.
    """
    page = LivePage(captioners, photos or Photos(), turns or Turns())
    return Starlette(
        routes=page.routes,
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={
            HTTPException: lambda _, error: refuse(error.status_code, error.detail),
            GoneError: lambda _, error: refuse(410, str(error)),
            BusyError: lambda _, error: refuse(503, str(error)),
        },
    )


def refuse(status: int, sentence: str) -> Response:
    """Answers with one sentence."""
    return JSONResponse({"error": sentence}, status)


async def read_body(request: Request, most: int) -> bytes:
    """Returns the body of a request.

    Raises:
        HTTPException: It is too large.
    """
    too_large = HTTPException(
        413, f"At most {most:,} bytes are taken. Send a smaller file."
    )
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise too_large
    return bytes(content)


async def _answer_asset(path: str, request: Request) -> Response:
    media_type, read = ASSETS[path]
    return Response(read(), media_type=media_type)


async def _lines(events: AsyncIterator[Event]) -> AsyncIterator[str]:
    async for event in events:
        yield json.dumps(event) + "\n"
