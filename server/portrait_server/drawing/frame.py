# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a portrait: the person moved by its mesh, eyes and mouth drawn in, the background kept still.

Written for N frames at a time. On the processor they are drawn one by one (`Motion.only`), on a device many at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_server.drawing.field import Field, joined
from portrait_server.drawing.lid_rims import edges
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES, MOUTH, skin_across
from portrait_server.geometry.raster import at_corners
from portrait_server.kernels.base import Array, Kernels, Look, Patches
from portrait_server.kernels.levels import finished, held

_FOLD_SOFTNESS = 1.2  # sigma in pixels of the frame


@dataclass(frozen=True)
class Moved:
    """A person who was moved, in N frames, before the background lies behind.

    Attributes:
        person: (N, H, W, 3 or 4) colours, eyes, mouth and a far side drawn in; alpha: (N, H, W) matte. Both as
            `kernels.levels` says.
        field: the motion that brought them there.
        motion: and what it was made of.
        lent: how far each pixel of a patch is lent by the near side instead, (N, height, width) float32; or None.
        draft: `person` before it was painted; None where nothing paints.
    """

    person: Array
    alpha: Array
    field: Field
    motion: Motion
    lent: tuple[Patches, Array] | None
    draft: Array | None = None


def move(kernels: Kernels, scene: Scene, motion: Motion) -> Moved:
    """The person of a scene in N frames."""
    vertices = motion.vertices
    field = Field(kernels, scene, vertices, motion.carried)
    person, alpha = field.carry(scene)
    if scene.back_side is not None:
        scene.back_side.lend(kernels, person, alpha, motion.pose, vertices, field.raster)
    lent = None
    if scene.far_side is not None:
        lent = scene.far_side.lend(kernels, person, alpha, motion.pose, motion.own)
    for number, (eye, lid, (upper, lower)) in enumerate(zip(scene.eyes, scene.lids, EYES, strict=True)):
        above, below = (vertices[:, list(rim)] for rim in (upper, lower))
        beside = at_corners(vertices, skin_across()[number])
        above, below = edges(above, below, motion.closed[:, number], eye.below)
        eye.draw(kernels, person, above, below, motion.turn, motion.pupils[:, number], motion.shut[:, number], beside)
        lid.draw(kernels, person, above, motion.turn, motion.closed[:, number], beside)
    above, below = (vertices[:, list(rim), :2] for rim in MOUTH)
    scene.mouth.draw(kernels, person, above, below, motion.turn, motion.skull, motion.jaw, motion.lips)
    for patches in field.folded:
        rows, columns = patches.slices
        share = field.fine(field.folds, patches)
        _smooth_folds(kernels, person[:, rows, columns], alpha[:, rows, columns], share)
    return Moved(person, alpha, field, motion, lent)


def _smooth_folds(kernels: Kernels, person: Array, alpha: Array, share: Array) -> None:
    """Smooths colours (N, rows, W, C) and matte (N, rows, W) in place, by a share (N, rows, W) float32.

    Where near skin ends over what lies behind, it ends in steps of a pixel. Colours count by their matte, so that a
    cheek takes on nothing of the background beside it.
    """
    patches = kernels.touched(share)
    if not patches.there.any():
        return
    xp = array_namespace(share)
    share, colour, matte = (kernels.taken(picture, patches) for picture in (share, person, alpha))
    # Beyond what is smoothed nothing counts, on a device either, where the patch is the whole frame.
    own, weight = kernels.mirrored(colour, share), kernels.mirrored(xp.astype(matte, xp.float32) + 1, share)
    sigma, reach = _FOLD_SOFTNESS, int(np.ceil(2.5 * _FOLD_SOFTNESS))
    parts = kernels.scattered(share, reach)
    if len(parts) > 1:  # each sees what others change
        own = xp.asarray(own, copy=True)
    for part, around in parts:
        within = (
            slice(None),
            *(slice(at.start - near.start, at.stop - near.start) for at, near in zip(part, around, strict=True)),
        )
        smooth = kernels.blurred(weight[:, *around], sigma, reach)
        mixed = (
            kernels.blurred(own[:, *around] * weight[:, *around, None], sigma, reach)[within]
            / smooth[within][..., None]
        )
        some, before, covered = share[:, *part], colour[:, *part], matte[:, *part]
        mixed = kernels.mixed(before, mixed, some)
        kernels.laid(alpha, patches.part(*part), held(covered + some * (smooth[within] - 1 - covered), alpha.dtype))
        kernels.laid(person, patches.part(*part), mixed)


def composite(kernels: Kernels, scene: Scene, moved: Moved, matte: bool) -> Array:
    """The moved person over the still background; where nothing moves, the photo itself: (N, H, W, 3 or 4)."""
    frames = _unmoved(kernels, scene, matte)
    frames = array_namespace(frames).repeat(frames, len(moved.person), axis=0)
    for strip in joined(moved.field.moving):
        patches = _mixed(kernels, scene, moved, strip)
        if patches is not None:
            kernels.laid(frames, patches, _composed(kernels, scene, moved, patches, matte))
    return finished(frames)


def _mixed(kernels: Kernels, scene: Scene, moved: Moved, strip: Patches) -> Patches | None:
    """The columns of a strip in which a person is, or was in the photo; beside them the photo is the background alone."""
    rows, columns = strip.slices
    found = kernels.touched(moved.alpha[:, rows, columns])
    if found.there.any() and found.width == strip.width:
        return strip
    reach = moved.field.pull.reach
    ends = scene.ends[max(0, rows.start - reach) : rows.stop + reach]
    first, last = int(ends[:, 0].min()) - reach - columns.start, int(ends[:, 1].max()) + reach - columns.start
    if found.there.any():
        first, last = min(first, found.slices[1].start), max(last, found.slices[1].stop)
    first, last = max(0, first), min(strip.width, last)
    return strip.part(slice(0, strip.height), slice(first, last)) if first < last else None


def _unmoved(kernels: Kernels, scene: Scene, matte: bool) -> Array:
    """The photo (1, H, W, 3 or 4), with the person's matte as the fourth channel if it is asked for."""
    if not matte:
        return scene.photo[None]
    return _with_matte(kernels, scene.photo[None], scene.person[None], scene.matte[None])


def person_over_nothing(moved: Moved) -> Array:
    """The moved person alone, its own colours and, as the fourth channel, its matte: (N, H, W, 4)."""
    return _with_matte(moved.field.kernels, moved.person, moved.person, moved.alpha)


def _composed(kernels: Kernels, scene: Scene, moved: Moved, patches: Patches, matte: bool) -> Array:
    layers = (moved.person, moved.alpha, scene.plate[None])
    person, alpha, plate = (kernels.taken(layer, patches) for layer in layers)
    mixed = kernels.blended(person, plate, alpha)
    pull = moved.field.pull
    for rows, columns in scene.unlike(patches, pull.reach) if pull.rests(patches) else ():
        lacking, share = what_is_lacking(kernels, scene, moved.field, patches.part(rows, columns))
        if lacking is not None:
            mixed[:, rows, columns] = kernels.added(mixed[:, rows, columns], lacking, share)
    return _with_matte(kernels, mixed, person, alpha) if matte else mixed


def what_is_lacking(
    kernels: Kernels, scene: Scene, field: Field, patches: Patches
) -> tuple[Array | None, Array | None]:
    """What patches of persons over what lies behind them lack of the photo, and which share of it is shown.

    That is locks which the matte misses, and the background beside the person, which the plate makes up. As long as the
    head rests both are seen, and the skin beside them pulls them along when the face moves.

    Returns:
        (N, height, width, 3 or 4) int16 or float32, and (N, height, width) float32; both None where nothing is shown.
    """
    if not field.pull.rests(patches):
        return None, None
    share = field.fine(field.pull.calm, patches)
    lacking = kernels.taken(scene.rest[None], patches)
    rows, columns = field.pull.part(patches)
    part = patches.part(rows, columns)
    if part.height > 0 and part.width > 0:
        found = kernels.looked_up(scene.rest[None], *field.pull.places(part), Look.LINEAR)
        if (part.height, part.width) == (patches.height, patches.width):
            return found, share
        lacking = array_namespace(lacking).asarray(lacking, copy=True)
        lacking[:, rows, columns] = found
    return lacking, share


def _with_matte(kernels: Kernels, colours: Array, person: Array, alpha: Array) -> Array:
    """Colours (N, H, W, 3 or 4) with the person's matte (N, H, W), which what is transparent of it has none of: (N, H, W, 4)."""
    xp = array_namespace(colours)
    if person.shape[-1] == 4:
        alpha = held(xp.astype(alpha, xp.float32) * person[..., 3] / 255, alpha.dtype)
    return kernels.with_fourth(colours, alpha)


def aligned_draft(kernels: Kernels, scene: Scene, moved: Moved, matrices: np.ndarray, side: int) -> Array:
    """The drafts (N, side, side, 4), colours and matte, that crops are cut from for training.

    Args:
        matrices: (N, 2, 3) from the frames' pixels to the targets' aligned frames.
    """
    person = kernels.aligned(moved.person[..., :3], matrices, side)
    plate = kernels.aligned(scene.plate[None, ..., :3], matrices, side)
    alpha = kernels.aligned(moved.alpha, matrices, side)
    return array_namespace(alpha).concat([kernels.blended(person, plate, alpha), alpha[..., None]], axis=-1)
