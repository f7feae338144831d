"""What the pages are made of besides text: style, scripts, icon, and the app that a browser installs.

The address of each file holds a hash of them all, so a browser keeps them for good and never mixes two versions.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from doctor.web.templating import render

_MEDIA_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


@cache
def _contents() -> dict[str, bytes]:
    folder = files("doctor.web").joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _MEDIA_TYPES}


@cache
def folder() -> str:
    """Where the files of this version are found."""
    whole = sha256()
    for name, content in sorted(_contents().items()):
        whole.update(name.encode() + b"\0" + content)
    return f"/static/{whole.hexdigest()[:12]}"


def asset(request: Request) -> Response:
    """One file."""
    name = request.path_params["name"]
    content = _contents().get(name)
    if content is None or f"/static/{request.path_params['version']}" != folder():
        return Response(status_code=404)
    return Response(content, media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers={"cache-control": _FOR_GOOD})


def service_worker(_: Request) -> Response:
    """The script that keeps the app readable without a line."""
    kept = [*(f"{folder()}/{name}" for name in sorted(_contents())), "/offline"]
    content = render("sw.js.j2", version=folder().rpartition("/")[2], files=kept)
    return Response(content, media_type="text/javascript")


def manifest(_: Request) -> Response:
    """What a browser needs to install the pages as an app."""
    icons = [
        {"src": f"{folder()}/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
        {"src": f"{folder()}/icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any maskable"},
        {"src": f"{folder()}/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
    ]
    content = {
        "name": "edge-xray: reading",
        "short_name": "edge-xray",
        "description": "Reports from the clinics, read and answered. Decision support for a doctor. Not a diagnosis.",
        "id": "/",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#0c0f12",
        "theme_color": "#14181d",
        "icons": icons,
    }
    return JSONResponse(content, media_type="application/manifest+json")
