# SPDX-License-Identifier: GPL-3.0-or-later
"""What layered frames hold beside the picture: matte, depth, motion to the next frame, and how far a pixel is the photo's.

Depth and motion are values at the mesh's vertices, drawn as its motion is. At a person's edge they are the person's where
more of it is seen than of what lies behind, for a mean of two depths is neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from array_api_compat import array_namespace
from portrait_shared.layers import in_order

from portrait_server.drawing.frame import Moved, composite, person_over_nothing
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.mouth import Place
from portrait_server.drawing.opening import opening_mask, patches_around
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.face_mesh import EYES, MOUTH, SIDES
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import LEVELS_16_BIT, signed, strongest

_SAME, _OTHER = 3.0, 25.0  # of 255: a colour that differs by less is the photo's own, by more another
_BESIDE = 5  # pixels over which what was drawn anew is told from what beside it has by chance its colour
MOSTLY = 127.5
"""Of 255: a matte above it is a person more than anything else."""


def draw_layers(
    kernels: Kernels, scene: Scene, moved: Moved, following: Motion | None, layers: Sequence[str], matte: bool
) -> Array:
    """Layers of N frames, see `portrait_shared.layers`: (N, H, W, K) float32 where the kernels have their pixels.

    Colours are straight, and as the photo's and mattes from 0 to 255; depth, motion and confidence as files have them.

    Args:
        moved: the person, painted where it is to be.
        following: how it moves in the frames that follow; for `forward`.
        matte: whether `rgba` is the person over nothing.
    """
    drawers = {
        "rgba": lambda: _picture(kernels, scene, moved, matte),
        "matte": lambda: _whole_matte(scene, moved)[..., None],
        "depth": lambda: _depth(scene, moved),
        "forward": lambda: _forward(kernels, scene, moved, following),
        "vector": lambda: _vector(_forward(kernels, scene, moved, following)),
        "confidence": lambda: _confidence(kernels, scene, moved)[..., None],
    }
    xp = array_namespace(moved.alpha)
    return xp.concat([xp.astype(drawers[layer](), xp.float32) for layer in in_order(layers)], axis=-1)


def _picture(kernels: Kernels, scene: Scene, moved: Moved, matte: bool) -> Array:
    """(N, H, W, 4)."""
    if matte:
        return person_over_nothing(moved)
    return as_layer(composite(kernels, scene, moved, False))


def as_layer(frames: Array) -> Array:
    """Finished frames (N, H, W, 3 or 4) as float32 from 0 to 255, with an alpha: (N, H, W, 4)."""
    xp = array_namespace(frames)
    frames = xp.astype(frames, xp.float32) / (1 if frames.dtype == xp.uint8 else LEVELS_16_BIT)
    if frames.shape[-1] == 4:
        return frames
    return xp.concat([frames, xp.full_like(frames[..., :1], 255.0)], axis=-1)


def _whole_matte(scene: Scene, moved: Moved) -> Array:
    return person_over_nothing(moved)[..., 3]


def _depth(scene: Scene, moved: Moved) -> Array:
    """(N, H, W, 1), in widths of the face as the photo has it."""
    return _of_the_person(moved, moved.motion.depth(scene.mesh)[..., None] / face_width(scene.mesh))


def face_width(mesh: HeadMesh) -> float:
    """Pixels of the photo in what depth is counted in."""
    return float(np.linalg.norm(mesh.vertices[SIDES[1]] - mesh.vertices[SIDES[0]])) + 1e-6


def _forward(kernels: Kernels, scene: Scene, moved: Moved, following: Motion | None) -> Array:
    """(N, H, W, 2), pixels to the right and upwards."""
    assert following is not None
    motion = moved.motion
    steps = following.vertices[..., :2] - motion.vertices[..., :2]
    steps[..., 1] *= -1
    forward = _of_the_person(moved, steps)
    for number, (upper, lower) in enumerate(EYES):
        above, below = (motion.vertices[:, list(rim), :2] for rim in (upper, lower))
        patches = _around(above, below, scene.size)
        if patches.there.any():
            gaze = kernels.put((following.pupils - motion.pupils)[:, number].astype(np.float32) * (1, -1))
            _into(
                kernels,
                forward,
                patches,
                gaze[:, None, None],
                opening_mask(kernels, above, below, patches, _hard(motion)),
            )
    above, below = (motion.vertices[:, list(rim), :2] for rim in MOUTH)
    patches = _around(above, below, scene.size)
    if patches.there.any():
        skull, jaw = (getattr(following, bone) - getattr(motion, bone) for bone in ("skull", "jaw"))
        with_skull, with_jaw = (kernels.put(step.astype(np.float32) * (1, -1))[:, None, None] for step in (skull, jaw))
        lower = smoothstep((Place(kernels, above, below, *kernels.grid(patches)).down - 0.35) / 0.5)[..., None]
        teeth = with_skull + lower * (with_jaw - with_skull)
        _into(kernels, forward, patches, teeth, opening_mask(kernels, above, below, patches, _hard(motion)))
    return forward


def _vector(forward: Array) -> Array:
    """(N, H, W, 4): the way here from the frame before, taken to be as long, and the way back from the next."""
    return -array_namespace(forward).concat([forward, forward], axis=-1)


def _hard(motion: Motion) -> np.ndarray:
    return np.zeros(len(motion))


def _around(above: np.ndarray, below: np.ndarray, size: tuple[int, int]) -> Patches:
    return patches_around(np.concatenate([above, below], 1), 2, size)


def _into(kernels: Kernels, forward: Array, patches: Patches, steps: Array, share: Array) -> None:
    """Lays motion over what is there, in place."""
    there = kernels.taken(forward, patches)
    kernels.laid(forward, patches, there + share[..., None] * (steps - there))


def _of_the_person(moved: Moved, values: np.ndarray) -> Array:
    """Values (N, V, C) of the mesh's vertices at each pixel, 0 beside the person: (N, H, W, C) float32."""
    xp = array_namespace(moved.alpha)
    mine = xp.astype(moved.alpha > MOSTLY, xp.float32)
    whole = Patches.whole(len(values), moved.field.size)
    found = moved.field.carried(values)
    return xp.stack([moved.field.fine(found[:, each], whole) * mine for each in range(found.shape[1])], axis=-1)


def _confidence(kernels: Kernels, scene: Scene, moved: Moved) -> Array:
    """(N, H, W) from 1, the photo's own, unmoved or moved as it is, to 0: lent, filled in or painted."""
    xp, field = array_namespace(moved.alpha), moved.field
    whole = Patches.whole(len(moved.alpha), field.size)
    alpha = xp.astype(moved.alpha, xp.float32) / 255
    own = field.sharpness if field.folds is None else field.sharpness * (1 - field.folds)
    person = field.fine(own, whole)
    anew = _drawn_anew(kernels, scene, moved)
    behind = 1 - _differing(scene.photo[None, ..., :3], scene.plate[None, ..., :3])
    behind = behind * (1 - xp.astype(scene.matte[None], xp.float32) / 255)
    seen = behind + alpha * (person - behind)
    seen = seen + field.fine(field.stillness, whole) * (1 - seen)
    return seen * (1 - alpha * anew)


def _drawn_anew(kernels: Kernels, scene: Scene, moved: Moved) -> Array:
    """How far persons differ from the photo's own pixels moved, as eyes, mouth, painters and lenders leave them."""
    person, alpha = moved.field.carry(scene)
    xp = array_namespace(person)
    other = _differing(moved.person[..., :3], person[..., :3])
    other = xp.maximum(other, abs(xp.astype(moved.alpha, xp.float32) - xp.astype(alpha, xp.float32)) / 255)
    return xp.maximum(other, kernels.averaged(kernels.grown(other, _BESIDE), _BESIDE))


def _differing(one: Array, other: Array) -> Array:
    """How far colours (N, H, W, 3) are not the same: (N, H, W), 0 to 1."""
    xp = array_namespace(one)
    far = xp.astype(strongest(abs(signed(one) - signed(other)))[..., 0], xp.float32)
    return smoothstep((far - _SAME) / (_OTHER - _SAME))
