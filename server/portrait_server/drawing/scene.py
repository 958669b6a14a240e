# SPDX-License-Identifier: GPL-3.0-or-later
"""A reference at one output size: its layers (person, background) and its geometry, ready to be moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from portrait_server.drawing.back_side import BackSide, build_back_side
from portrait_server.drawing.eyes import EyeLayer, build_eyes
from portrait_server.drawing.far_side import FarSide, build_far_side
from portrait_server.drawing.fill import continued_where_clear
from portrait_server.drawing.grain import grain_of
from portrait_server.drawing.hair import Hair
from portrait_server.drawing.lid_skin import LidSkin, build_lids
from portrait_server.drawing.mouth import MouthLayer, build_mouth
from portrait_server.drawing.tiles import Cover
from portrait_server.geometry.face_light import FaceLight, face_light
from portrait_server.geometry.face_mesh import OVAL, outline
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import held, signed
from portrait_server.kernels.one_frame import runs
from portrait_server.kernels.opencv import OpenCV

_STRIP_ROWS = 512
_BAND_ROWS = 16
_SURELY_FACE = 0.93  # of the face's outline; beside it may be a gap between cheek and hair
_EDGE = 0.02  # softness of the person's edge, in face sizes


@dataclass(frozen=True)
class Scene:
    """What one frame is made of, in pixels of the frame. Colours and mattes are held as `kernels.levels` says.

    Attributes:
        photo: (H, W, 3 or 4), the reference resized.
        person: (H, W, 3 or 4), the person's own colours, continued past its edge.
        matte: (H, W), how far each pixel is the person.
        plate: (H, W, 3 or 4), the background, filled in behind the person.
        rest: (H, W, 3 or 4) int16 or float32, what person over plate lacks of the photo.
        scale: (2,) pixels of the frame in a pixel of the reference.
        mesh: the geometry, in pixels of the reference.
        eyes, mouth: what shows in their openings; lids: what comes down over the eyes.
        far_side: what a turn brings into view of a face that the photo shows from one side.
        grain: of the face, see `drawing.grain`.
        back_side: what it brings into view of the head around and behind the face; None where it shall show none of that.
        light: that falls on the face; None where that can't be told.
    """

    photo: Array
    person: Array
    matte: Array
    plate: Array
    rest: Array
    scale: np.ndarray
    mesh: HeadMesh
    eyes: tuple[EyeLayer, ...]
    lids: tuple[LidSkin, ...]
    mouth: MouthLayer
    far_side: FarSide | None
    grain: int
    back_side: BackSide | None
    light: FaceLight | None

    @property
    def size(self) -> tuple[int, int]:
        return self.photo.shape[1], self.photo.shape[0]

    @cached_property
    def ends(self) -> np.ndarray:
        """Of each row the columns between which the photo is not its background alone: (H, 2), the first, behind the last."""
        rest, person = (self.rest != 0).reshape(len(self.rest), -1), self.matte > 0
        (first, behind), (left, right) = _ends(rest, self.rest.shape[2]), _ends(person, 1)
        return np.stack([np.minimum(first, left), np.maximum(behind, right)], 1)

    def unlike(self, patches: Patches, reach: int = 0) -> list[tuple[slice, slice]]:
        """Rows and columns of patches, alike in all frames, beside which the photo is its person over its plate.

        Args:
            reach: pixels around a pixel that are looked at, too.
        """
        whole = slice(0, patches.height)
        if not isinstance(self.rest, np.ndarray):
            return [(whole, slice(0, patches.width))]
        rows, columns = patches.slices
        bands = self._unlike[max(0, rows.start - reach) // _BAND_ROWS : -(-(rows.stop + reach) // _BAND_ROWS)]
        line = bands.any(0).astype(np.uint8)[None]
        if reach:
            line = cv2.dilate(line, np.ones((1, 2 * reach + 1), np.uint8))
        return [(whole, run) for run in runs(line[0, columns])]

    @cached_property
    def cover(self) -> Cover:
        """What its parts hold of the person; on the processor alone."""
        return Cover(self.matte)

    @cached_property
    def _unlike(self) -> np.ndarray:
        """Of bands of rows the columns in which person over plate lacks something of the photo: (bands, W) bool."""
        return np.logical_or.reduceat((self.rest != 0).any(-1), np.arange(0, len(self.rest), _BAND_ROWS))

    def placed(self, kernels: Kernels) -> Scene:
        """The same scene with its pixels where the kernels have theirs."""
        return replace(
            self,
            photo=kernels.placed(self.photo), person=kernels.placed(self.person), matte=kernels.placed(self.matte),
            plate=kernels.placed(self.plate), rest=kernels.placed(self.rest),
            eyes=tuple(eye.placed(kernels) for eye in self.eyes),
            lids=tuple(lid.placed(kernels) for lid in self.lids), mouth=self.mouth.placed(kernels),
            far_side=None if self.far_side is None else self.far_side.placed(kernels),
            back_side=None if self.back_side is None else self.back_side.placed(kernels),
        )  # fmt: skip


def _ends(there: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Of rows (H, W * channels) bool the first column with something, and behind the last: W and 0 where there is none."""
    some, width = there.any(1), there.shape[1] // channels
    first, last = (there[:, ::way].argmax(1) // channels for way in (1, -1))
    return np.where(some, first, width), np.where(some, width - last, 0)


def build_scene(
    image: np.ndarray, plate: np.ndarray, matte: np.ndarray, mesh: HeadMesh, hair: Hair | None,
    size: tuple[int, int],
) -> Scene:  # fmt: skip
    """Layers of a reference at an output size.

    Args:
        image, plate: (H, W, 3 or 4) uint8 or float32, see `kernels.levels`: the photo, and its background filled in
            behind the person.
        matte: (H, W) float32, 0 to 1.
        mesh: in pixels of the image.
        hair: of this image; without it a turn shows nothing of the head's back.
        size: (width, height) of the frames.
    """
    height, width = image.shape[:2]
    scale = np.array([size[0] / width, size[1] / height])
    photo, plate = (held(resized(picture, size), image.dtype) for picture in (image, plate))
    alpha = np.clip(resized(matte, size), 0, 1)
    face = mesh.vertices[:, :2] * scale
    alpha = np.maximum(alpha, _face_mask(face, size, mesh.size * float(scale.min())))
    colours = continued_where_clear(photo)
    person = _own_colours(colours, alpha, max(1, round(_EDGE * mesh.size * float(scale.min()))))
    shown = held(alpha * 255, photo.dtype)
    light = face_light(photo, mesh.whole_face() * [*scale, scale.min()])
    rest = signed(photo)
    rest -= blend(person, plate, shown)
    return Scene(
        photo=photo, person=person, matte=shown, plate=plate, rest=rest, scale=scale, mesh=mesh,
        eyes=build_eyes(photo, mesh, scale), lids=build_lids(photo, mesh, scale), mouth=build_mouth(photo, mesh, scale),
        far_side=build_far_side(person, mesh, scale), grain=_face_grain(photo, face),
        back_side=None if hair is None else build_back_side(_scaled(hair, scale), person, shown, mesh, scale, light),
        light=light,
    )  # fmt: skip


def _face_grain(photo: np.ndarray, vertices: np.ndarray) -> int:
    """The grain of a photo's face, whose mesh (V, 2) lies there."""
    (left, top), (right, bottom) = (getattr(vertices[list(OVAL)], end)(0) for end in ("min", "max"))
    rows, columns = (slice(max(0, int(a)), max(0, int(b))) for a, b in ((top, bottom), (left, right)))
    return grain_of(photo[rows, columns])


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture (H, W) or (H, W, C) at (width, height), averaged where it shrinks."""
    if image.shape[1::-1] == tuple(size):
        return np.ascontiguousarray(image)
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _scaled(hair: Hair, scale: np.ndarray) -> Hair:
    """Hair in pixels of the frame, scale (2,) of them in one of the reference."""
    width, height = np.maximum(1, np.round(np.array(hair.colours.shape[1::-1]) * scale)).astype(int).tolist()
    colours, ended = (held(resized(each, (width, height)), each.dtype) for each in (hair.colours, hair.ended))
    return Hair(colours, hair.start * scale, ended)


def blend(front: np.ndarray, back: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Front over back (H, W, C) by a matte (H, W), as `Kernels.blended`."""
    return OpenCV().blended(front[None], back[None], matte[None])[0]


def _face_mask(vertices: np.ndarray, size: tuple[int, int], face_size: float) -> np.ndarray:
    """The face itself is the person, whatever the segmentation says: (H, W) float32."""
    mask = np.zeros((size[1], size[0]), np.float32)
    cv2.fillPoly(mask, [np.round(outline(vertices, _SURELY_FACE)).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.02 * face_size))


def _own_colours(photo: np.ndarray, alpha: np.ndarray, radius: int) -> np.ndarray:
    """The person's colours without the old background's (Forte, "Approximate Fast Foreground", 2021)."""
    own = photo.copy()
    edge = cv2.dilate(((alpha > 0.01) & (alpha < 0.995)).astype(np.uint8), np.ones((3, 3), np.uint8))
    for top in range(0, len(photo), _STRIP_ROWS):
        # Strips with a rim as wide as the blur: a huge photo is never held in float as a whole.
        first, last = max(0, top - radius), top + _STRIP_ROWS + radius
        rows = slice(top, top + _STRIP_ROWS)
        if edge[rows].any():
            strip = _without_background(photo[first:last, :, :3].astype(np.float32), alpha[first:last], radius)
            strip = held(strip[top - first : top - first + _STRIP_ROWS], photo.dtype)
            own[rows, :, :3] = np.where(edge[rows, :, None] > 0, strip, photo[rows, :, :3])
    return own


def _without_background(colour: np.ndarray, alpha: np.ndarray, radius: int) -> np.ndarray:
    box = (2 * radius + 1, 2 * radius + 1)
    front, back = alpha[..., None], 1 - alpha[..., None]
    own = cv2.blur(colour * front, box) / np.maximum(cv2.blur(alpha, box), 1e-3)[..., None]
    behind = cv2.blur(colour * back, box) / np.maximum(cv2.blur(1 - alpha, box), 1e-3)[..., None]
    own += front * (colour - front * own - back * behind)
    return own
