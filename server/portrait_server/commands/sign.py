# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait sign`: Content Credentials for frames, pictures and movies that were made of rendered frames."""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import BinaryIO, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import keep_sources, partial_file, read_bounded, write_whole
from portrait_shared.frames.frame_files import (
    LAYERED,
    PICTURES,
    credentials_path,
    file_digest,
    frame_path,
    frames_in,
    prefix_of,
)
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES
from portrait_shared.statement import MAX_STATEMENT_BYTES, TOOL, Statement

from portrait_server.media.images import read_image
from portrait_server.media.picture_files import SUFFIXES, encode_picture
from portrait_server.media.png import xmp_of
from portrait_server.provenance.attribution import Attribution, attribute
from portrait_server.provenance.credentials import CredentialsState
from portrait_server.provenance.keys import signing_key
from portrait_server.provenance.reading import MANIFEST_SUFFIX, parent_of, read_credentials, read_sequence
from portrait_server.provenance.signing import sign_file, sign_sequence

_FRAME_SUFFIXES: Final = (PICTURES, LAYERED)
_REMEDY: Final = "Render it again; or say with --statement what it was made of: frames' folder, or their frames.c2pa."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE|DIR",
                        help="frames, pictures or movies that were made of rendered frames; a folder of frames gets one "
                             "signature for all, frames.c2pa")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE|DIR",
                        help=f"where a signed copy goes; the file stays as it is. A picture is converted where another kind is "
                             f"named ({', '.join(SUFFIXES)})")  # fmt: skip
    parser.add_argument("--statement", type=Path, metavar="DIR|frames.c2pa|JSON",
                        help="what it was made of: the frames' folder or their credentials, or a statement as JSON (default: "
                             "what lies beside it, else what it says of itself)")  # fmt: skip
    parser.add_argument("--no-credentials", action="store_true",
                        help="with --output: a copy that is not signed. Nobody can then check who made it, and whether it was "
                             "altered; what a frame says of itself, unsigned, stays")  # fmt: skip
    parser.add_argument("--prefix", default="", help="what stands before the number in the frames' names")


def run(asked: argparse.Namespace) -> int:
    """Signs each file.

    Raises:
        PortraitError: FILE_MISSING, BAD_CONFIGURATION, SIGNING_FAILED, BAD_IMAGE, OUTPUT_NOT_WRITABLE, DISK_FULL: a file
            that could not be signed is as it was.
    """
    if len(asked.files) > 1 and asked.output is not None and not asked.output.is_dir():
        raise _bad("Several files cannot become one.", "Give --output a folder that is there.")
    if asked.no_credentials and asked.output is None:
        raise _bad("Without credentials there is nothing to do.", "Say with --output where a copy is to go.")
    if not asked.no_credentials:
        signing_key()  # first: what keeps all files from being signed is said once
    for path in asked.files:
        signed = _sign_folder(asked, path) if path.is_dir() else _sign_one(asked, path)
        print(f"{'Saved' if asked.no_credentials else 'Signed'}: {signed}", flush=True)
    return 0


def _sign_folder(asked: argparse.Namespace, folder: Path) -> Path:
    """One signature for all frames of a folder with the prefix."""
    if asked.output is not None:
        raise _bad("A folder's credentials lie in it.", "Leave out --output.")
    files = [
        frame_path(folder, number, asked.prefix, suffix)
        for suffix in _FRAME_SUFFIXES for number in frames_in(folder, asked.prefix, suffix)
    ]  # fmt: skip
    target = credentials_path(folder, asked.prefix)
    if not files:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"No frames named {frame_path(folder, 1, asked.prefix).name} and so on lie in {folder}.",
            "Give the folder of rendered frames, and --prefix where their names have one.",
        )  # fmt: skip
    said = _stated(asked.statement, asked.prefix) or attribute(files, target)
    hashes = {path.name: file_digest(read_bounded(path, MAX_FRAME_BYTES)) for path in files}
    write_whole(target, sign_sequence(said.statement, hashes, target.name))
    return target


def _sign_one(asked: argparse.Namespace, path: Path) -> Path:
    """Signs a file in its place, or a copy of it."""
    target = path if asked.output is None else asked.output / path.name if asked.output.is_dir() else asked.output
    before = read_credentials(path)
    if before is not None:
        raise PortraitError(
            ErrorCode.SIGNING_FAILED, f"{path.name} has credentials already, by {before.tool or 'an unknown program'}.",
            "See with `portrait verify` what they say.",
        )  # fmt: skip
    said = _stated(asked.statement, asked.prefix) or _said_of_frame(path)
    if target == path:
        _check_not_in_sequence(path)
        return sign_file(path, said.statement, parent=said.parent)
    keep_sources([target], [path])
    with _copied(path, target.suffix.lower(), said.statement) as source:
        if not asked.no_credentials:
            return sign_file(target, said.statement, parent=said.parent, source=source)
        with partial_file(target) as partial, partial.open("r+b") as file:
            shutil.copyfileobj(source, file)
    return target


def _copied(path: Path, suffix: str, statement: Statement) -> BinaryIO:
    """The file's content, converted where the suffix is of another kind."""
    if suffix == path.suffix.lower():
        return path.open("rb")
    if suffix not in SUFFIXES:
        raise _bad(
            f"Nothing is converted into {suffix or 'a file without a suffix'}.", f"Choose {', '.join(SUFFIXES)}."
        )
    xmp = xmp_of(f"{TOOL} {statement.release} ({statement.engine})", statement.networks)
    return io.BytesIO(encode_picture(read_image(path, 16), suffix, xmp))


def _said_of_frame(path: Path) -> Attribution:
    """What is said of a frame, by the credentials of its sequence or itself."""
    if path.suffix.lower() not in _FRAME_SUFFIXES:
        raise PortraitError(ErrorCode.SIGNING_FAILED, f"{path.name} says nothing of what made it.", _REMEDY)
    try:
        said = attribute([path], credentials_path(path.parent, prefix_of(path.name)))
    except PortraitError as error:
        raise PortraitError(error.code, error.message, _REMEDY) from error
    return Attribution(said.statement)  # a sequence's list of hashes may be a hundred times as large as the picture


def _stated(source: Path | None, prefix: str) -> Attribution | None:
    """What was said with `--statement`; None where nothing was."""
    if source is None:
        return None
    path = credentials_path(source, prefix) if source.is_dir() else source
    if path.suffix == MANIFEST_SUFFIX:
        found = read_sequence(path)
        if found is None or found[0].statement is None or found[0].state is not CredentialsState.VALID:
            why = found[0].why if found is not None and found[0].why else "They are not those of a sequence of frames."
            raise PortraitError(
                ErrorCode.SIGNING_FAILED, f"The credentials {path} state nothing. {why}", "Sign the frames first."
            )
        return Attribution(found[0].statement, parent_of(path))
    try:
        return Attribution(Statement.parse(read_bounded(path, MAX_STATEMENT_BYTES)))
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"Cannot read {path}: {error.strerror}.", "Check the path."
        ) from error
    except ValueError as error:
        raise _bad(
            f"{path} holds no statement: {error}.", "Give the folder of the frames, or their frames.c2pa."
        ) from error


def _check_not_in_sequence(path: Path) -> None:
    """A frame that is signed in its place would no longer be the one that its sequence's credentials name."""
    sequence = credentials_path(path.parent, prefix_of(path.name))
    found = read_sequence(sequence) if sequence.is_file() else None
    if found is not None and path.name in found[1]:
        raise _bad(f"{path.name} is signed by {sequence.name} as it is.", "Sign a copy of it, with --output.")


def _bad(why: str, remedy: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_CONFIGURATION, why, remedy)
