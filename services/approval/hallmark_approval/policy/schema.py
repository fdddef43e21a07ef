"""Pydantic models as protobuf messages, so that CEL checks every field name and type when a pack is loaded."""

import types
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Union, get_args, get_origin

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]  # no stubs
from pydantic import BaseModel

PACKAGE = "hallmark.facts"
_PROTO = descriptor_pb2.FieldDescriptorProto
_SCALARS = {bool: _PROTO.TYPE_BOOL, int: _PROTO.TYPE_INT64, float: _PROTO.TYPE_DOUBLE}


class Shape:
    """What one field holds: a scalar Python type or a model, once or repeated."""

    def __init__(self, annotation: Any) -> None:
        args = get_args(annotation)
        if get_origin(annotation) in (Union, types.UnionType):
            annotation = next(a for a in args if a is not type(None))
        self.repeated = get_origin(annotation) is tuple
        if self.repeated:
            annotation = get_args(annotation)[0]
        self.item: type = annotation if isinstance(annotation, type) else get_args(annotation)[0]

    @property
    def model(self) -> type[BaseModel] | None:
        return self.item if issubclass(self.item, BaseModel) else None

    @property
    def kind(self) -> type:
        """bool, int, float or str; enumerations and times are strings."""
        return self.item if self.item in _SCALARS and not issubclass(self.item, StrEnum) else str


def shapes(model: type[BaseModel]) -> Iterator[tuple[str, Shape]]:
    return ((name, Shape(field.annotation)) for name, field in model.model_fields.items())


def _models(model: type[BaseModel], seen: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    seen.setdefault(model.__name__, model)
    for _, shape in shapes(model):
        if shape.model and shape.model.__name__ not in seen:
            _models(shape.model, seen)
    return seen


def _add_field(message: Any, number: int, name: str, shape: Shape) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _PROTO.LABEL_REPEATED if shape.repeated else _PROTO.LABEL_OPTIONAL
    if shape.model:
        field.type, field.type_name = _PROTO.TYPE_MESSAGE, f".{PACKAGE}.{shape.model.__name__}"
    else:
        field.type = _SCALARS.get(shape.kind, _PROTO.TYPE_STRING)


class MessageSchema:
    """A model's protobuf twin: `pool` for CEL, `message(instance)` for its values."""

    def __init__(self, model: type[BaseModel]) -> None:
        file = descriptor_pb2.FileDescriptorProto(name=f"{model.__name__}.proto", package=PACKAGE, syntax="proto3")
        for name, each in _models(model, {}).items():
            message = file.message_type.add(name=name)
            for number, (field, shape) in enumerate(shapes(each), start=1):
                _add_field(message, number, field, shape)
        self.model = model
        self.pool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(file.SerializeToString())
        descriptor = self.pool.FindMessageTypeByName(f"{PACKAGE}.{model.__name__}")
        self._message = message_factory.GetMessageClass(descriptor)

    def message(self, instance: BaseModel) -> Any:
        return self._message(**instance.model_dump(mode="json", exclude_none=True))
