"""Models to files and back: a zip of `model.json` and `.npy` arrays; no pickle, no code, all sizes checked.

    model.json     format and its version, the library's version, what the model is (see `encoding`), notes
    arrays/0.npy   and so on, each with the type and shape that model.json says

Entries are stored, not compressed, so a file can never unpack to more than its own size.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from .._typing import Array
from ..errors import LatentemError, ModelFileError
from ..parameters import Parameters
from .atomic import write_atomically
from .encoding import PACKAGE, Arrays, decode, encode

FORMAT = "latentem"
FORMAT_VERSION = 1
DESCRIPTION = "model.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


def save(
    model: Any, path: str | os.PathLike[str], *, notes: Mapping[str, Any] | None = None, types: Iterable[type] = ()
) -> None:
    """Write a fitted estimator, a result, a model or parameters to a file; whole or not at all.

    Parameters
    ----------
    model : estimator, EMResult, LatentVariableModel, DeclaredModel, Parameters, …
        Of a declared model the file holds its name, its parameters and domains, what z is, and a hash of the source of
        its functions, but not these: `load` must be given the model again.
    path : path
        Usually named *.latentem.
    notes : mapping, optional
        Anything JSON can hold, to find again by `load_with_notes`, e.g. the names of columns.
    types : classes
        Families and parameters of your own that the model holds; `load` needs the same.

    Raises
    ------
    ModelFileError
        The model holds what a file cannot, such as a function, or the file cannot be written.
    """
    description, arrays = encode(model, types)
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": f"latentem {library_version()}",
        "notes": dict(notes or {}),
        "model": description,
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode()
    try:
        write_atomically(path, lambda file: _write(file, text, arrays))
    except OSError as error:
        raise ModelFileError(f"cannot write {path}: {error.strerror or error}") from error


def load(path: str | os.PathLike[str], *, model: Any = None, types: Iterable[type] = ()) -> Any:
    """What `save` wrote; it predicts the same bits.

    Parameters
    ----------
    path : path
    model : DeclaredModel, optional
        Where the file is of a declared model: that model, since a file holds no code.
    types : classes
        Families and parameters of your own that the file holds.  Where the rows of a declared model's data were named
        tuples, their class; without it they are named tuples of the same fields.

    Raises
    ------
    ModelFileError
        The file is missing, cut off, altered, of a newer format, or none of ours; or it is of a declared model, and
        `model` is none or another.

    Warns
    -----
    ModelSourceWarning
        The source of the declared model's functions is no longer the one that the file was written with.
    """
    return load_with_notes(path, model=model, types=types)[0]


def load_with_notes(
    path: str | os.PathLike[str], *, model: Any = None, types: Iterable[type] = ()
) -> tuple[Any, dict[str, Any]]:
    """What `save` wrote, and the notes beside it."""
    document, arrays = _read(Path(path))
    try:
        loaded = decode(document["model"], arrays, types, model)
        _check_domains(loaded)
    except LatentemError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return loaded, document["notes"]


def library_version() -> str:
    """The version of this library."""
    return str(import_module(PACKAGE).__version__)


# -- writing -----------------------------------------------------------------------------------


def _write(file: BinaryIO, text: bytes, arrays: Arrays) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(DESCRIPTION, EPOCH), text)
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), _to_npy(array))


def _to_npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    npy.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


# -- reading -----------------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    try:
        with open(path, "rb") as file:
            return _read_archive(file, os.fstat(file.fileno()).st_size)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged zip shows itself in many ways, all of them the same to a reader
        raise ModelFileError(f"{path} is cut off, damaged or no model file: {error}") from error


def _read_archive(file: BinaryIO, size: int) -> tuple[dict[str, Any], Arrays]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _check_entries(entries, size)
        document = _read_description(archive)
        claims = _claims(document["model"])
        _check_names({entry.filename for entry in entries}, claims)
        return document, {name: _from_npy(name, archive.read(name), claim) for name, claim in claims.items()}


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ModelFileError("an entry appears twice")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ModelFileError("an entry is compressed, which no model file is")
    if sum(entry.file_size for entry in entries) > size:
        raise ModelFileError("its entries claim to be larger than the file")


def _read_description(archive: zipfile.ZipFile) -> dict[str, Any]:
    if DESCRIPTION not in archive.namelist():
        raise ModelFileError(f"it has no {DESCRIPTION}, so it is no model file")
    document = json.loads(archive.read(DESCRIPTION).decode())
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelFileError(f"its {DESCRIPTION} is not that of a model file")
    found = document.get("format_version")
    if not isinstance(found, int) or found < 1:
        raise ModelFileError(f"its format version is {found!r}")
    if found > FORMAT_VERSION:
        writer = str(document.get("written_by"))[:60]
        raise ModelFileError(
            f"its format is version {found}, written by {writer}; this version reads up to {FORMAT_VERSION}: upgrade "
            "latentem"
        )
    if "model" not in document or not isinstance(document.get("notes"), dict):
        raise ModelFileError(f"its {DESCRIPTION} lacks the model or the notes")
    return document


def _claims(node: Any) -> dict[str, dict[str, Any]]:
    """What the description says of every array, by entry."""
    if isinstance(node, list):
        return {name: claim for item in node for name, claim in _claims(item).items()}
    if not isinstance(node, dict):
        return {}
    if set(node) == {"array"}:
        claim = node["array"]
        return {claim["entry"]: claim}
    return {name: claim for item in node.values() for name, claim in _claims(item).items()}


def _check_names(found: set[str], claims: dict[str, Any]) -> None:
    lacking = sorted(set(claims) - found)
    extra = sorted(found - set(claims) - {DESCRIPTION})
    if lacking:
        raise ModelFileError(f"the entry {lacking[0]!r} is missing")
    if extra:
        raise ModelFileError(f"the entry {extra[0]!r} belongs to nothing in {DESCRIPTION}")


def _from_npy(name: str, content: bytes, claim: dict[str, Any]) -> Array:
    """An array whose header, description and length agree; nothing is allocated before they do."""
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ModelFileError(f"{name} is an .npy file of another version")
    shape, fortran, dtype = npy.read_array_header_1_0(stream)
    if list(shape) != claim["shape"] or dtype.str != claim["dtype"] or dtype.hasobject:
        raise ModelFileError(
            f"{name} holds {dtype.str} of shape {list(shape)}, but {DESCRIPTION} says {claim['dtype']} of shape "
            f"{claim['shape']}"
        )
    data = content[stream.tell() :]
    if len(data) != dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise ModelFileError(f"{name} holds {len(data)} bytes, which is not its shape {list(shape)}")
    return np.frombuffer(data, dtype).copy().reshape(shape, order="F" if fortran else "C")


def _check_domains(model: Any) -> None:
    """Parameters outside their domains come from no fit."""
    parameters: Any = getattr(getattr(model, "result_", model), "parameters", model)
    if not isinstance(parameters, Parameters):
        return
    try:
        parameters.check()
    except LatentemError:
        raise
    except Exception as error:  # fields of the wrong kinds, which show themselves in many ways
        raise ModelFileError(f"its parameters cannot be understood: {type(error).__name__}: {error}") from error
