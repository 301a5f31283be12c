"""Batches as Arrow IPC streams: columns in, columns out, without a text in between."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from bentos.embedded import InvalidRowError, checked
from bentos.refusals import RefusedError

if TYPE_CHECKING:
    import pyarrow as pa

    from bentos.served import Served

KIND = b"application/vnd.apache.arrow.stream"
DICTIONARY_BATCH, RECORD_BATCH = 2, 3
"""The messages that hold data, as the format numbers them."""


def columns(body: bytes, features: Mapping[str, Any], max_rows: int) -> dict[str, Any]:
    """The checked columns of an Arrow IPC stream.

    A number may be of any type of whole or floating-point numbers, a category is text or a dictionary of texts. What is missing
    is null; a number may also be NaN.

    Parameters
    ----------
    body : bytes
        The stream, of one batch or several, not compressed.
    features : mapping
        The features of the model's signature.
    max_rows : int
        How many rows it may have.

    Returns
    -------
    dict
        For each feature, in their order, an array or list of shape (n_rows,).

    Raises
    ------
    RefusedError
        If it is no such stream, or a value is not allowed.
    """
    import pyarrow as pa

    try:
        if _is_compressed(body):
            # a few bytes may stand for more than there is memory
            raise RefusedError(415, "The Arrow stream is compressed. Send it without compression.")
        table = pa.ipc.open_stream(body, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
        if not 1 <= table.num_rows <= max_rows:
            raise RefusedError(422, f"The stream has {table.num_rows} rows, but must have 1 to {max_rows}.")
        table.validate(full=True)
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeError, struct.error) as error:
        raise RefusedError(400, f"The body is no Arrow IPC stream: {' '.join(str(error).split())[:200]}.") from error
    if len(set(names)) < len(names):
        raise RefusedError(422, "The stream has two columns of one name. Name each feature once.")
    try:
        given = {name: _values(name, table[name], features.get(name)) for name in names}
        return checked(given, features)
    except InvalidRowError as error:
        raise RefusedError(422, f"{str(error).rstrip('.')}. See /docs.json for what is allowed.") from error


def encoded(served: Served, fields: Mapping[str, Sequence[Any]]) -> bytes:
    """Answers as an Arrow IPC stream: the fields of a JSON answer as columns, the stamp in the schema's metadata.

    The probabilities of several classes are a struct with a field for each class.
    """
    import pyarrow as pa

    types: dict[str, Any] = {
        "probabilities": pa.struct([(name, pa.float64()) for name in served.model.signature["classes"] or ()])
    }
    types |= {"is_positive": pa.bool_(), "predicted_class": pa.string(), "unknown_categories": pa.list_(pa.string())}
    types |= {"prediction_set": pa.list_(pa.string()), "is_certain": pa.bool_(), "is_abstained": pa.bool_()}
    table = pa.table({name: pa.array(values, types.get(name, pa.float64())) for name, values in fields.items()})
    stamp = {name: value if isinstance(value, str) else json.dumps(value) for name, value in served.stamp.items()}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata(stamp)) as writer:
        writer.write_table(table.replace_schema_metadata(stamp))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def rows(found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Columns as rows, whose missing numbers are None."""
    lists = (
        values if isinstance(values, list) else [None if isnan(value) else value for value in values.tolist()]
        for values in found.values()
    )
    return list(zip(*lists, strict=True))


def _values(name: str, column: pa.ChunkedArray, feature: Mapping[str, Any] | None) -> Any:
    """A column as the model takes it: floats with NaN where one is missing, texts with None."""
    import pyarrow as pa

    kind = column.type
    if feature is None:
        return [None] * len(column)  # it is refused by its name
    if feature["type"] == "category":
        if not (pa.types.is_null(kind) or _is_text(kind) or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))):
            raise InvalidRowError(f"{name}: must be a column of texts, got {kind}.")
        return column.to_pylist()
    if not (pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InvalidRowError(f"{name}: must be a column of numbers, got {kind}.")
    plain = column if kind == pa.float64() else column.cast(pa.float64(), safe=False)
    return np.asarray(plain.to_numpy(), dtype=np.float64)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_compressed(body: bytes) -> bool:
    """Whether a message says that its buffers are compressed: a record batch's fourth field, which pyarrow does not tell."""
    import pyarrow as pa

    reader = pa.ipc.MessageReader.open_stream(body)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return False
        head = message.metadata.to_pybytes()
        (root,) = struct.unpack_from("<I", head)
        kind, batch = _field(head, root, 1), _field(head, root, 2)
        if kind is None or batch is None or head[kind] not in (DICTIONARY_BATCH, RECORD_BATCH):
            continue
        table = _pointed(head, batch)
        if head[kind] == DICTIONARY_BATCH:
            data = _field(head, table, 1)
            if data is None:
                continue
            table = _pointed(head, data)
        if _field(head, table, 3) is not None:
            return True


def _field(head: bytes, table: int, number: int) -> int | None:
    """Where a field of a flatbuffers table stands; None if the table leaves it out."""
    (back,) = struct.unpack_from("<i", head, table)
    size, place = struct.unpack_from("<H", head, table - back)[0], 4 + 2 * number
    offset = struct.unpack_from("<H", head, table - back + place)[0] if place < size else 0
    return table + offset if offset else None


def _pointed(head: bytes, place: int) -> int:
    """Where the table stands that a field points to."""
    found: int = place + struct.unpack_from("<I", head, place)[0]
    return found
