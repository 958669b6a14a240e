# SPDX-License-Identifier: GPL-3.0-or-later
"""Several people in N frames, each over those behind; what stands still is the photo's, as with one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from portrait_shared.layers import channels_of, in_order

from portrait_server.drawing.frame import Moved, person_over_nothing, what_is_lacking
from portrait_server.drawing.layers import MOSTLY, as_layer, draw_layers, face_width
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.arrays import array_namespace
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import finished, held


@dataclass(frozen=True)
class InFrame:
    """One of several people in N frames.

    Attributes:
        scene: where the kernels have their pixels; its plate is the picture of those behind.
        moved: None for whom all the frames show as the photo does.
    """

    scene: Scene
    moved: Moved | None

    def layers(self, kernels: Kernels, patches: Patches) -> tuple[Array, Array, Array | None, Array]:
        """In patches of the frames: the person's colours and matte, and `frame.what_is_lacking`."""
        scene, moved = self.scene, self.moved
        if moved is not None:
            person, alpha = kernels.taken(moved.person, patches), kernels.taken(moved.alpha, patches)
            return person, alpha, *what_is_lacking(kernels, scene, moved.field, patches)
        person, alpha = kernels.taken(scene.person[None], patches), kernels.taken(scene.matte[None], patches)
        xp = array_namespace(alpha)
        rest = kernels.taken(scene.rest[None], patches)
        return person, alpha, rest, xp.ones_like(alpha, dtype=xp.float32)


def composite_people(kernels: Kernels, people: Sequence[InFrame], count: int, matte: bool) -> Array:
    """Frames (N, H, W, 3 or 4) uint8 or uint16.

    Args:
        people: from the farthest to the nearest.
        count: N.
        matte: whether the frames carry the matte of all people as their fourth channel.
    """
    xp = array_namespace(people[0].scene.photo)
    frames: Array = people[0].scene.plate[None]
    cover = still_cover = xp.zeros_like(people[0].scene.matte)[None]
    changed: list[Patches] = []
    for person in people:
        scene = person.scene
        behind, cover_behind = frames, cover
        frames = xp.repeat(scene.photo[None], count, axis=0)
        if matte:
            still_cover = _covered(scene.person[None], scene.matte[None], still_cover)
            cover = xp.repeat(still_cover, count, axis=0)
        changed = _joined(changed, [] if person.moved is None else person.moved.field.strips)
        for patches in changed:
            colours, alpha, lacking, share = person.layers(kernels, patches)
            mixed = kernels.blended(colours, kernels.taken(behind, patches), alpha)
            if lacking is not None:
                mixed = kernels.added(mixed, lacking, share)
            kernels.laid(frames, patches, mixed)
            if matte:
                kernels.laid(cover, patches, _covered(colours, alpha, kernels.taken(cover_behind, patches)))
    return finished(xp.concat([frames[..., :3], cover[..., None]], axis=-1) if matte else frames)


def _covered(colours: Array, alpha: Array, behind: Array) -> Array:
    """How far people show, (N, H, W): one with such colours (N, H, W, 3 or 4) and matte (N, H, W), over those behind."""
    xp = array_namespace(alpha)
    share = xp.astype(alpha, xp.float32) * (1 / 255)
    if colours.shape[-1] == 4:
        share = share * colours[..., 3] / 255
    return held(255 * share + (1 - share) * behind, alpha.dtype)


def draw_people_layers(
    kernels: Kernels, people: Sequence[InFrame], moved: Sequence[Moved], following: Sequence[Motion | None],
    layers: Sequence[str], matte: bool,
) -> Array:  # fmt: skip
    """Layers of N frames of several people, as `layers.draw_layers`: at each pixel those of the foremost person there.

    Args:
        people: from the farthest to the nearest.
        moved, following: of each; also of those who rest.
    """
    xp = array_namespace(moved[0].alpha)
    beside = [layer for layer in in_order(layers) if layer not in ("rgba", "matte")]
    channels = channels_of(beside)
    drawn: Array = None
    nothing, cover = _over_nothing(moved)
    for person, each, motion in zip(people, moved, following, strict=True) if beside else ():
        own = draw_layers(kernels, person.scene, each, motion, beside, matte)
        if "depth" in beside:
            own[..., channels.index("depth.Z")] *= face_width(person.scene.mesh) / face_width(people[-1].scene.mesh)
        if drawn is not None:
            mine = (each.alpha > MOSTLY)[..., None]
            if "confidence" in beside:
                # What is made up behind this person is made up whoever stands there.
                seen = own[..., channels.index("confidence.Y")]
                drawn[..., channels.index("confidence.Y")] = xp.minimum(
                    drawn[..., channels.index("confidence.Y")], seen
                )
            own = xp.where(mine, own, drawn)
        drawn = own
    parts = []
    if "rgba" in layers:
        parts.append(nothing if matte else as_layer(composite_people(kernels, people, len(moved[0].alpha), False)))
    if "matte" in layers:
        parts.append(cover[..., None])
    return xp.concat([*parts, *([drawn] if beside else [])], axis=-1)


def _over_nothing(moved: Sequence[Moved]) -> tuple[Array, Array]:
    """People over nothing, straight colours and their matte (N, H, W, 4), and that alone (N, H, W); float32, 0 to 255."""
    xp = array_namespace(moved[0].alpha)
    colours: Array = 0.0
    cover: Array = 0.0
    for each in moved:
        own = xp.astype(person_over_nothing(each), xp.float32)
        share = own[..., 3] / 255
        colours = own[..., :3] * share[..., None] + colours * (1 - share[..., None])
        cover = own[..., 3] + cover * (1 - share)
    colours = colours * 255 / xp.where(cover > 0, cover, xp.ones_like(cover))[..., None]
    return xp.concat([colours, cover[..., None]], axis=-1), cover


def _joined(ones: Sequence[Patches], others: Sequence[Patches]) -> list[Patches]:
    """Patches that hold all of both; each kind has one patch of some rows at most, the same for all frames."""
    joined = {(int(patches.y[0]), patches.height): patches for patches in ones}
    for patches in others:
        rows = int(patches.y[0]), patches.height
        if (beside := joined.get(rows)) is not None:
            left = np.minimum(patches.x, beside.x)
            right = np.maximum(patches.x + patches.width, beside.x + beside.width)
            patches = replace(patches, x=left, width=int((right - left)[0]), there=patches.there | beside.there)
        joined[rows] = patches
    return list(joined.values())
