"""OpenAPI 3.1 from which clients can be made: Litestar's, completed with what it does not know.

That is: the problems that any route answers, bodies that routes read by themselves, and what the models of requests
demand (Litestar leaves out patterns of elements, and that models are closed).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI, OpenAPIMediaType, Operation, RequestBody, Schema
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457, with Hallmark's own members `field` and `fix`; some problems have more.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "urn:hallmark:problem:<slug>"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "JSON pointer to what is wrong, or a header's name"},
        "fix": {"type": "string", "description": "How to mend it"},
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "description": "A problem, with how to mend it",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_ERRORS: Final = ("4XX", "5XX")


@dataclass
class Config(OpenAPIConfig):
    """Litestar's, whose document is completed when it is asked for."""

    handlers: Sequence[Any] = field(default=())

    def to_openapi_schema(self) -> OpenAPI:
        made = super().to_openapi_schema()
        completed = _Completed(**{each.name: getattr(made, each.name) for each in fields(made)})
        completed.handlers = self.handlers
        return completed


def _request_models(handlers: Iterable[Any]) -> list[type[BaseModel]]:
    annotations = {
        handler.parsed_data_field.annotation
        for handler in handlers
        if isinstance(handler, HTTPRouteHandler) and handler.parsed_data_field
    }
    models = [each for each in annotations if isinstance(each, type) and issubclass(each, BaseModel)]
    return sorted(models, key=lambda model: model.__name__)


class _Completed(OpenAPI):
    handlers: Sequence[Any] = ()
    """Whose requests are described; no member of the document, which has dataclass fields alone."""

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= {
            name: each for name, each in _definitions(_request_models(self.handlers)).items() if name in schemas
        }
        schemas["Problem"] = PROBLEM
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"] = _with_problems(operation["responses"])
        return document


def _definitions(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """By name; models that share one are there by the longer name that Litestar gives them, too."""
    wanted: Any = [(model, "validation") for model in models]
    references, schema = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    found = dict(schema.get("$defs", {}))
    for (model, _), reference in references.items():
        longer = f"{model.__module__}.{model.__qualname__}".replace(".", "_")
        found[longer] = found[reference["$ref"].rpartition("/")[2]]
    return found


def _with_problems(responses: Mapping[str, Any]) -> dict[str, Any]:
    """Litestar documents a 400 of its own, which nothing here answers with."""
    kept = {status: each for status, each in responses.items() if status[0] not in "45"}
    return kept | dict.fromkeys(_ERRORS, _ANSWER)


def with_body(content: str | Mapping[str, Schema]) -> type[Operation]:
    """`operation_class` of a route that reads its body itself: a media type, or media types with their schemas."""
    schemas = {content: Schema()} if isinstance(content, str) else content
    media_types = {media_type: OpenAPIMediaType(schema=schema) for media_type, schema in schemas.items()}

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(content=media_types, required=True)

    return WithBody
