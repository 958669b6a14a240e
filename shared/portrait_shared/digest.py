# SPDX-License-Identifier: GPL-3.0-or-later
"""Content hashes: of an image, of a portrait, of a frame.

Frames of equal hashes have equal pixels where one kind of device drew them. Those of two kinds (`FrameMark.device`) differ
by at most 1 of 255 in all but a thousandth of the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from portrait_shared.body import is_usual
from portrait_shared.disclosure import NOTHING_SHOWN, Disclosure
from portrait_shared.layers import COLORSPACES, in_order
from portrait_shared.other_faces import OtherFaces


def image_digest(image: np.ndarray) -> str:
    """SHA-256 (hex) over the shape, the type and the bytes of an array."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"image {image.dtype.str} {image.shape}\n".encode())
    digest.update(image.data)
    return digest.hexdigest()


def portrait_digest(
    engine: str, fingerprint: str, references: Iterable[tuple[str, np.ndarray]], others: np.ndarray | None = None
) -> str:
    """SHA-256 (hex) over all that a portrait's pixels depend on.

    Args:
        engine: the engine's name.
        fingerprint: the engine's fingerprint.
        references: (image digest, points (70, 3)) of each reference, the first one first.
        others: (F, 70, 3) points of the further faces of the first reference that are driven too.
    """
    digest = hashlib.sha256(f"portrait {engine}\n{fingerprint}\n".encode())
    for image, points in references:
        digest.update(f"{image} {points.shape}\n".encode())
        digest.update(np.ascontiguousarray(points, "<f4").tobytes())
    if others is not None:
        digest.update(f"others {others.shape}\n".encode())
        digest.update(np.ascontiguousarray(others, "<f4").tobytes())
    return digest.hexdigest()


def tuned_fingerprint(fingerprint: str, personal: str | None) -> str:
    """The fingerprint of an engine tuned by a personal file.

    Args:
        fingerprint: the engine's own.
        personal: SHA-256 (hex) of the file; None where the engine is as it is.
    """
    return fingerprint if personal is None else f"{fingerprint} personal {personal}"


def frame_digest(
    portrait_id: str, row: np.ndarray, size: tuple[int, int], matte: bool, body: np.ndarray | None = None,
    others: OtherFaces | None = None, layers: Sequence[str] = (), colorspace: str = COLORSPACES[0],
    disclosure: Disclosure = NOTHING_SHOWN,
) -> str:  # fmt: skip
    """SHA-256 (hex) over all that one frame's pixels depend on.

    Args:
        portrait_id: from `portrait_digest`.
        row: (70, 2 or 3) points of the frame, pixels; hashed as float32.
        size: (width, height) of the frame, pixels.
        matte: whether the frame has the person's alpha.
        body: (2,), see `portrait_shared.body`; hashed as float32 where it is not the usual one.
        others: the picture's further faces in this frame alone, T = 1; None where one face is driven.
        layers: of a layered frame, in any order; with `forward` its hash is `followed_digest`.
        colorspace: that its colours are written in.
        disclosure: what it shows of having been made.
    """
    row = np.ascontiguousarray(row, "<f4")
    text = f"frame {portrait_id} {row.shape[-1]} {int(size[0])}x{int(size[1])} {int(matte)}\n"
    body_bytes = b"" if body is None or is_usual(body) else b"body" + np.ascontiguousarray(body, "<f4").tobytes()
    others_bytes = b"" if others is None else others.hashed
    layered = f"layers {','.join(in_order(layers))} {colorspace}" if layers else ""
    shown = f"shown {disclosure.hashed}" if disclosure.hashed else ""
    tail = f"{layered}{shown}".encode()
    return hashlib.sha256(text.encode() + row.tobytes() + body_bytes + others_bytes + tail).hexdigest()


def followed_digest(own: str, following: str) -> str:
    """The hash of a frame with the layer `forward`, which depends on the frame that follows.

    Args:
        own, following: `frame_digest` of both, with the same layers; the last frame is followed by itself.
    """
    return hashlib.sha256(f"followed {own} {following}".encode()).hexdigest()
