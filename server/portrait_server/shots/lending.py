# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouth and eyes of a drawn frame, lent by the moments of the shot that look most like what they shall become."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from portrait_shared.landmarks import GROUPS
from portrait_shared.track import LandmarkTrack

from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.kernels.levels import finished, held, levels
from portrait_server.shots.facial_parts import FacialPart, head_poses
from portrait_server.shots.film_grain import Grain, flat_skin, with_grain
from portrait_server.shots.moment import SKIN, Box, Moment
from portrait_server.shots.motion_blur import blurred_along
from portrait_server.shots.neighbours import Lending, Neighbours

_KEPT_BYTES: Final = 256 << 20  # of faces that may lend again
_FACE_RIM: Final = 0.15  # in eye distances within the face's outline: nothing is lent beyond it
_UNREST: Final = 0.02  # in eye distances: motion blur that is shorter may be the landmarks' own unrest
_LIGHTEST: Final = 2.0  # how much lighter or darker one moment may be than another
_SOFT_PIXELS: Final = 3.0
_MARGIN: Final = 0.2  # around the face that is looked at, in eye distances
_SAME_LIGHT: Final = 0.03  # of a colour: what differs by less may be how the skin folds
_STEADY: Final = 0.1  # how unwillingly light is taken to change across the face
_OVAL: Final = (*GROUPS["jaw"], *reversed((*GROUPS["right_brow"], *GROUPS["left_brow"])))


class Lender:
    """Lends what a shot shows elsewhere to its frames.

    Args:
        neighbours: who lends what to whom.
        points: (T, 70, 2 or 3) of the shot.
        meshes: (T, 478, 3) dense meshes of its faces where they are known.
        picture_at: the whole frame of a row, (H, W, 3 or 4) uint8 or uint16; asked by one thread at a time.
    """

    def __init__(
        self,
        neighbours: Neighbours,
        points: np.ndarray,
        meshes: np.ndarray | None,
        picture_at: Callable[[int], np.ndarray],
    ) -> None:
        self._neighbours, self._points, self._meshes, self._picture_at = neighbours, points, meshes, picture_at
        self._reading, self._keeping = threading.Lock(), threading.Lock()
        self._moments: OrderedDict[int, Moment] = OrderedDict()

    @classmethod
    def of(cls, performance: LandmarkTrack, picture_at: Callable[[int], np.ndarray]) -> Lender:
        """That of a shot with landmarks, and what its file tells besides: `mesh478`, `detected`, `cuts`."""
        found = {
            name: performance.extra[name]
            for name, shape in (("mesh478", (478, 3)), ("detected", ()), ("cuts", ()))
            if name in performance.extra and performance.extra[name].shape == (len(performance), *shape)
        }
        neighbours = Neighbours(performance.points, found.get("detected"), found.get("cuts"))
        return cls(neighbours, performance.points, found.get("mesh478"), picture_at)

    def lent(
        self, drawn: np.ndarray, start: tuple[int, int], own: np.ndarray, index: int, target: np.ndarray,
        left_out: Sequence[int] = (),
    ) -> np.ndarray:  # fmt: skip
        """A drawn part of a frame with mouth and eyes of other moments, and the shot's grain, where they are nearer.

        Args:
            drawn: (h, w, 3 or 4) uint8 or uint16, as an engine drew it.
            start: (x, y) where its first pixel lies in the frame.
            own: (H, W, 3 or 4), the shot's whole frame.
            index: its row.
            target: (70, 2 or 3) what was drawn, pixels of the frame.
            left_out: rows that lend nothing.

        Returns:
            `drawn` itself where nothing was drawn anew; else a picture of its shape and type.
        """
        lendings = self._neighbours.of(index, target, left_out)
        whole = Box(start[0], start[1], start[0] + drawn.shape[1], start[1] + drawn.shape[0])
        eyes = float(1 / np.sqrt(abs(np.linalg.det(head_poses(target)[0]))))
        face = Moment(own, self._points[index], self._mesh(index))
        both = np.concatenate([target[:, :2], face.points[:, :2]])
        box = Box.around(both, _MARGIN * eyes, whole)
        place = Box(*(box.corner - whole.corner).tolist(), *(box.corner - whole.corner + box.size).tolist())
        before, after = levels(box.of(own)[..., :3]), levels(place.of(drawn)[..., :3])
        if min(box.size) < 2 or (not lendings and np.array_equal(after, before)):
            return drawn
        inside = _within_face(target, box, eyes)
        skin, now = (flat_skin(points[:, :2] - box.corner, box.size, eyes) for points in (face.points, target))
        anew = inside * _differing(after, before)
        moved = with_grain(after.astype(np.float32), anew, now, Grain.of(before, skin), index)
        found, share = moved.copy(), np.zeros(moved.shape[:2], np.float32)
        for lending in lendings:
            self._lend(found, share, inside, lending, face, index, target, box, eyes)
        # Compared in the same place: skin is not everywhere alike.
        lent = now & (share > 0.5)
        found = with_grain(found, share, lent, Grain.of(moved, lent), index)
        result = drawn.copy()
        touched = (share > 0) | (anew > 0)
        place.of(result)[..., :3][touched] = finished(held(found, after.dtype))[touched]
        return result

    def _lend(
        self, found: np.ndarray, shares: np.ndarray, inside: np.ndarray, lending: Lending, face: Moment, index: int,
        target: np.ndarray, box: Box, eyes: float,
    ) -> None:  # fmt: skip
        """Lays one part into a picture (h, w, 3) of a box, and how far it is lent into shares (h, w); in place."""
        part = lending.part
        outline = target[list(part.outline)]
        patch = Box.around(outline, part.reach * eyes, box)
        if min(patch.size) < 2:
            return
        within = Box(patch.left - box.left, patch.top - box.top, patch.right - box.left, patch.bottom - box.top)
        mask = lending.share * _mask(part, outline, patch, eyes) * within.of(inside)
        lent = np.zeros((*mask.shape, 3), np.float32)
        for row, weight in zip(lending.rows, lending.weights, strict=True):
            moment = self._moment(row)
            seen = moment.drawn(target, patch, part.pupil, eyes)
            seen = blurred_along(seen, self._motion(part, index), self._motion(part, row), _UNREST * eyes)
            lent += weight * seen * _light(face, moment, target, patch, eyes)
        under = within.of(found)
        under += mask[..., None] * (lent - under)
        np.maximum(within.of(shares), mask, out=within.of(shares))

    def _motion(self, part: FacialPart, index: int) -> np.ndarray:
        """How the head moves (2,) at a part from a frame to the next, pixels."""
        return np.asarray(self._neighbours.motion(index)[list(part.anchor)].mean(0))

    def _mesh(self, index: int) -> np.ndarray | None:
        return None if self._meshes is None else self._meshes[index]

    def _moment(self, row: int) -> Moment:
        found = self._kept(row)
        if found is None:
            with self._reading:
                found = self._kept(row) or Moment(self._picture_at(row), self._points[row], self._mesh(row))
                self._keep(row, found)
        return found

    def _kept(self, row: int) -> Moment | None:
        with self._keeping:
            if row in self._moments:
                self._moments.move_to_end(row)
            return self._moments.get(row)

    def _keep(self, row: int, moment: Moment) -> None:
        with self._keeping:
            self._moments[row] = moment
            while len(self._moments) > 1 and sum(each.nbytes for each in self._moments.values()) > _KEPT_BYTES:
                self._moments.popitem(last=False)


def _differing(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where pictures (h, w, 3) differ: (h, w) float32, 0 where they do not, soft beside that."""
    red, green, blue = (after[..., channel] != before[..., channel] for channel in range(3))
    differs = (red | green | blue).astype(np.float32)
    return differs * cv2.GaussianBlur(differs, (0, 0), _SOFT_PIXELS)


def _mask(part: FacialPart, outline: np.ndarray, patch: Box, eyes: float) -> np.ndarray:
    """How far each pixel of a patch is lent: 1 in the part, 0 beyond its reach."""
    hull = np.zeros(patch.size[::-1], np.uint8)
    corners = np.round(outline[:, :2] - patch.corner).astype(np.int32)
    cv2.fillConvexPoly(hull, cv2.convexHull(corners), 1)
    away = cv2.distanceTransform(1 - hull, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / eyes
    return np.asarray(1 - between(away, part.whole, part.reach), np.float32)


def _within_face(target: np.ndarray, box: Box, eyes: float) -> np.ndarray:
    """1 inside the face to 0 at its outline, beyond which a moment shows its own background: (h, w) float32."""
    face = np.zeros(box.size[::-1], np.uint8)
    cv2.fillPoly(face, [np.round(target[list(_OVAL), :2] - box.corner).astype(np.int32)], 1)
    depth = cv2.distanceTransform(face, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(smoothstep(depth / (_FACE_RIM * eyes)), np.float32)


def _light(face: Moment, other: Moment, target: np.ndarray, patch: Box, eyes: float) -> np.ndarray:
    """What makes another moment's colours those of this face's light, in a patch: (h, w, 3) float32 factors.

    Told by the skin of both, it changes evenly across the face.
    """
    skin = list(SKIN)
    ratio = np.log((face.skin_colours + 4) / (other.skin_colours + 4))
    places = (face.mesh[skin, :2] - face.mesh[skin, :2].mean(0)) / eyes
    planes = np.column_stack([np.ones(len(skin)), places])
    system = planes.T @ planes + np.diag([0, *[_STEADY * len(skin)] * 2])
    constant, across, down = np.linalg.solve(system, planes.T @ ratio)
    middle = target[list(GROUPS["nose_base"]), :2].mean(0) - patch.corner
    x, y = ((np.arange(side) - at) / eyes for side, at in zip(patch.size, middle, strict=True))
    light = constant + x[None, :, None] * across + y[:, None, None] * down
    light = light * light**2 / (light**2 + _SAME_LIGHT**2)
    return np.exp(np.clip(light, -np.log(_LIGHTEST), np.log(_LIGHTEST))).astype(np.float32)
