# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each pixel of a frame is the photo's own: kept, or moved as it is, and not lent, filled in or painted.

A person is moved once more as a picture of labels: white for what the photo shows, black for what is made up. So what
draws eyes, mouth, lids and hidden sides tells by itself where it does, and how far.
"""

from __future__ import annotations

from dataclasses import replace

from portrait_server.drawing.back_side import BackSide
from portrait_server.drawing.eyes import EyeLayer
from portrait_server.drawing.frame import Moved, move
from portrait_server.drawing.lending import Lender
from portrait_server.drawing.mouth import MouthLayer
from portrait_server.drawing.opening import shown_openings
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import signed, strongest

_SAME, _OTHER = 3.0, 25.0  # of 255: a colour that differs by less is the photo's own, by more another
_BESIDE = 5  # pixels over which what was filled in is told from what beside it has by chance its colour
_AT_FOLDS = 0.5  # of what is smoothed where near skin ends over what lies behind
_AROUND = 3  # cells of the coarse grid over which triangles of different stretch are made one


def confidence(kernels: Kernels, scene: Scene, moved: Moved) -> Array:
    """(N, H, W) float32 from 1, the photo's own, to 0, made up, of persons painted where they are to be."""
    xp, field = array_namespace(moved.alpha), moved.field
    whole = Patches.whole(len(moved.alpha), field.size)
    alpha, matte = (xp.astype(layer, xp.float32) / 255 for layer in (moved.alpha, scene.matte[None]))
    shown = xp.astype(move(kernels, _labels(scene), moved.motion).person[..., 0], xp.float32) / 255
    anew = 1 - shown
    if moved.draft is not None:
        anew = xp.maximum(anew, differing(moved.person, moved.draft))
    person = _sharpness(kernels, scene, moved) * (1 - anew)
    filled = kernels.averaged(kernels.grown(differing(scene.photo[None], scene.plate[None]), _BESIDE), _BESIDE)
    behind = (1 - filled) * (1 - matte)
    mixed = behind + alpha * (person - behind)
    kept = field.fine(field.stillness, whole) * (1 - alpha * anew)
    return mixed + kept * (1 - mixed)


def _labels(scene: Scene) -> Scene:
    """The same with white for what the photo shows of the person, and black for what is made up."""
    far, back = scene.far_side, scene.back_side
    return replace(
        scene,
        person=_filled(scene.person, 255),
        grain=0,
        eyes=tuple(_label_of_eye(eye) for eye in scene.eyes),
        lids=tuple(replace(lid, skin=_filled(lid.skin, 0), lashes=_filled(lid.lashes, 255)) for lid in scene.lids),
        mouth=_label_of_mouth(scene.mouth),
        far_side=None if far is None else replace(far, lender=_label_of_lender(far.lender)),
        back_side=None if back is None else _label_of_back(back),
    )


def _label_of_eye(eye: EyeLayer) -> EyeLayer:
    shown = array_namespace(eye.made).stack([255 - eye.made] * 3, axis=-1)
    shown = array_namespace(shown).astype(shown, eye.texture.dtype)
    return replace(eye, texture=shown, white=shown, disc=shown, made=_filled(eye.made, 0))


def _label_of_mouth(mouth: MouthLayer) -> MouthLayer:
    # Where another photo lends the inside, it opens otherwise than this one's.
    shown = 255 if mouth.shown == mouth.openness else 0
    return replace(mouth, texture=_filled(mouth.texture, shown), lip=0 * mouth.lip, teeth=0 * mouth.teeth)


def _label_of_back(back: BackSide) -> BackSide:
    lender, neck, near = (_label_of_lender(each) for each in (back.lender, back.neck, back.near))
    return replace(back, lender=lender, neck=neck, near=near)


def _label_of_lender(lender: Lender) -> Lender:
    return replace(lender, colours=_filled(lender.colours, 0))


def _filled(picture: Array, value: int) -> Array:
    return array_namespace(picture).full_like(picture, value)


def _sharpness(kernels: Kernels, scene: Scene, moved: Moved) -> Array:
    """(N, H, W) 1 where the photo is not drawn out, less where it is. What lies in openings moves by itself."""
    field, vertices = moved.field, moved.motion.vertices
    coarse = kernels.averaged(field.sharpness, _AROUND)
    if field.folds is not None:
        coarse = coarse * (1 - _AT_FOLDS * field.folds)
    found = field.fine(coarse, Patches.whole(len(vertices), field.size))
    for patches, share in shown_openings(kernels, vertices, scene.size):
        there = kernels.taken(found, patches)
        found = kernels.laid(found, patches, there + share * (1 - there))
    return found


def differing(one: Array, other: Array) -> Array:
    """How far pictures (N, H, W, 3 or 4) are not the same: (N, H, W) float32, 0 to 1."""
    xp = array_namespace(one)
    far = xp.astype(strongest(abs(signed(one[..., :3]) - signed(other[..., :3])))[..., 0], xp.float32)
    return smoothstep((far - _SAME) / (_OTHER - _SAME))
