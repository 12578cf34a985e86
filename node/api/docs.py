"""The API's own documentation: one page, rendered here from the OpenAPI document, without script or foreign server."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_METHODS = ("get", "post")
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
section { border-top: 1px solid #8885; margin-top: 1.5rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
.method { display: inline-block; min-width: 3.5rem; font-weight: 700; text-transform: uppercase }
"""


@router.get("/docs")
def get_docs(request: Request) -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(
        render(request.app.openapi()),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


def render(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    operations = [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    schemas = document.get("components", {}).get("schemas", {})
    parts = [
        f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info'].get('description', ''))}</p>",
        '<p>Machine-readable: <a href="openapi.json">openapi.json</a></p>',
        *(_operation(path, method, operation) for path, method, operation in operations),
        "<h2>Schemas</h2>",
        *(_schema(name, schema) for name, schema in sorted(schemas.items())),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Suyuan API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{escape(_kind(one.get('schema', {})))}"
        f"<td>{escape(one.get('description', ''))}"
        for one in operation.get("parameters", [])
    )
    content = operation.get("requestBody", {}).get("content", {})
    bodies = "".join(
        f"<p>Body: <code>{escape(media)}</code>, {_linked(body.get('schema', {}))}</p>"
        for media, body in content.items()
    )
    return (
        f'<section><h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
        f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
        f"{f'<table>{rows}</table>' if rows else ''}{bodies}</section>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(member)}</code><td>{_linked(kind)}<td>{'required' if member in required else ''}"
        for member, kind in schema.get("properties", {}).items()
    )
    described = escape(schema.get("description", ""))
    return f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{described}</p><table>{rows}</table></section>'


def _linked(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return " or ".join(_linked(one) for one in schema[union])
    if "items" in schema:
        most = f" (at most {schema['maxItems']})" if "maxItems" in schema else ""
        return f"list of {_linked(schema['items'])}{most}"
    return escape(_kind(schema))


def gives(media_type: str, description: str, status: int | str = 200) -> dict[int | str, dict[str, Any]]:
    """Return how a route says that it answers with something else than JSON."""
    return {status: {"description": description, "content": {media_type: {"schema": {"type": "string"}}}}}


def takes_text() -> dict[str, Any]:
    """Return how a route says that it takes a text."""
    return {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "value")
    limits = [f"{words} {schema[name]}" for name, words in _LIMITS.items() if name in schema]
    return ", ".join((" or ".join(kind) if isinstance(kind, list) else str(kind), *limits))


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters at most",
    "maxItems": "items at most",
    "pattern": "matching",
}
