# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rig says at each frame, through keys, drivers and constraints: its points in the photo's pixels, its body."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Final, NamedTuple

import bpy
import numpy as np
from portrait_shared.landmarks import NAMES
from portrait_shared.other_faces import OtherFaces

from ..blender.problems import Fix, SceneError
from ..plane.plane_space import PlaneSpace, snap
from .armature import check_bones
from .body_sliders import body_of
from .replaced_sliders import AS_FILMED, replaced_of

POSE_CHANNELS: Final = {
    "location": 3,
    "rotation_euler": 3,
    "rotation_quaternion": 4,
    "rotation_axis_angle": 4,
    "scale": 3,
}

_depth = 0


class RigSample(NamedTuple):
    """What a frame is drawn from.

    Attributes:
        points: (70, 3) float32 pixels.
        body: (2,) float32, see `portrait_shared.body`.
        replaced: (3,) float32, see `portrait_shared.performance.REPLACEABLE`.
        others: what the rigs of the photo's further faces say.
    """

    points: np.ndarray
    body: np.ndarray
    replaced: np.ndarray = AS_FILMED
    others: tuple[RigSample, ...] = ()

    def equals(self, other: RigSample) -> bool:
        return (
            np.array_equal(self.points, other.points)
            and np.array_equal(self.body, other.body)
            and np.array_equal(self.replaced, other.replaced)
            and len(self.others) == len(other.others)
            and all(one.equals(another) for one, another in zip(self.others, other.others, strict=True))
        )


def other_faces(rows: Sequence[RigSample]) -> OtherFaces | None:
    """What some frames, one at least, say of the photo's further faces; None where it has none."""
    if not rows[0].others:
        return None
    points = np.array([[other.points for other in row.others] for row in rows])
    return OtherFaces(points, np.array([[other.body for other in row.others] for row in rows]))


def sample_rows(
    scene: bpy.types.Scene, rig: bpy.types.Object, space: PlaneSpace, frames: Iterable[int],
    others: Sequence[bpy.types.Object] = (),
) -> Generator[tuple[int, RigSample], None, None]:  # fmt: skip
    """Each frame with what the rig says at it.

    The scene's frame and the pose, keyed or not, come back when the iterator ends or is closed.

    Args:
        others: rigs of the photo's further faces.
    """
    layer = view_layer(scene)
    with ExitStack() as stack:
        for each in (rig, *others):
            check_rig(scene, each)
        stack.enter_context(_at_work(layer))
        for each in (rig, *others):
            stack.enter_context(_evaluated(scene, layer, each))
            stack.enter_context(_pose_kept(each))
        stack.enter_context(_frame_kept(scene))
        for frame in frames:
            scene.frame_set(frame)
            yield frame, as_evaluated(rig, layer, space, others)


def sample_until(
    deadline: float, scene: bpy.types.Scene, rig: bpy.types.Object, space: PlaneSpace, frames: Iterable[int],
    others: Sequence[bpy.types.Object] = (),
) -> dict[int, RigSample]:  # fmt: skip
    """As many of the frames as can be sampled until `deadline` (time.monotonic), one at least."""
    rows = {}
    with closing(sample_rows(scene, rig, space, frames, others)) as samples:
        for frame, row in samples:
            rows[frame] = row
            if time.monotonic() > deadline:
                break
    return rows


def is_at_work() -> bool:
    """Whether changes that Blender tells of come from sampling itself."""
    return _depth > 0


def sample_now(
    rig: bpy.types.Object, layer: bpy.types.ViewLayer, space: PlaneSpace, others: Sequence[bpy.types.Object] = ()
) -> RigSample:
    """What the rig says as it stands at this moment, keyed or not.

    Fast, and changes nothing: neither the frame nor the pose. A rig that the layer does not evaluate, because it is
    disabled or in a collection that is, is taken as it was last evaluated.
    """
    layer.depsgraph.update()
    return as_evaluated(rig, layer, space, others)


def is_evaluated(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, rig: bpy.types.Object) -> bool:
    """Whether changes of the rig reach `sample_now`."""
    return not rig.hide_viewport and not _outside(scene, layer, rig)


def check_rig(scene: bpy.types.Scene, rig: bpy.types.Object | None) -> None:
    """Raises SCENE if the rig cannot be sampled."""
    if rig is None or rig.name not in scene.objects:
        raise SceneError(
            "The portrait's rig was deleted." if rig is None else f"The rig “{rig.name}” was deleted from the scene.",
            "Rebuild it: the landmarks are kept, and so are the keys of a rig deleted in the viewport.",
            Fix.REBUILD,
        )
    if rig.parent is None:
        raise SceneError(
            f"The rig “{rig.name}” is no longer a child of its picture.", "Rebuild to attach it again.", Fix.REBUILD
        )
    check_bones(rig)


def as_evaluated(
    rig: bpy.types.Object, layer: bpy.types.ViewLayer, space: PlaneSpace, others: Sequence[bpy.types.Object] = ()
) -> RigSample:
    """What the rig says as Blender has evaluated it last. It may be called while Blender draws."""
    evaluated = rig.evaluated_get(layer.depsgraph)
    return RigSample(
        points_as_evaluated(rig, layer, space),
        body_of(evaluated),
        replaced_of(evaluated),
        tuple(as_evaluated(other, layer, space) for other in others),
    )


def points_as_evaluated(rig: bpy.types.Object, layer: bpy.types.ViewLayer, space: PlaneSpace) -> np.ndarray:
    """The points as Blender has evaluated them last, (70, 3) float32 pixels. It may be called while Blender draws."""
    order = [rig.pose.bones.find(name) for name in NAMES]
    heads = np.empty(len(rig.pose.bones) * 3, np.float32)
    posed = rig.evaluated_get(layer.depsgraph)
    posed.pose.bones.foreach_get("head", heads)
    local = heads.reshape(-1, 3)[order].astype(np.float64)
    # The rig's own transform counts, the plane's does not: moving the picture moves no point in it.
    to_plane = np.array(posed.matrix_parent_inverse @ posed.matrix_basis, np.float64)
    local = local @ to_plane[:3, :3].T + to_plane[:3, 3]
    return snap(space.to_pixels(local))


def view_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The layer in which the scene is sampled: the one that the user sees, where there is one."""
    current = bpy.context.view_layer
    return current if current is not None and bpy.context.scene == scene else scene.view_layers[0]


@contextmanager
def _at_work(layer: bpy.types.ViewLayer) -> Iterator[None]:
    """Marks what Blender reports as sampling's own doing, until it has evaluated the frame and pose that were put back.

    Evaluated later, they would be reported as if the user had changed the rig.
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        try:
            layer.update()
        finally:
            _depth -= 1


@contextmanager
def _evaluated(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, rig: bpy.types.Object) -> Iterator[None]:
    """Blender does not evaluate what is disabled or in a disabled collection: enable the rig for a while."""
    hidden = rig.hide_viewport
    hidden_in_collection = _outside(scene, layer, rig)
    if hidden:
        rig.hide_viewport = False
    if hidden_in_collection:
        scene.collection.objects.link(rig)
    layer.update()
    try:
        yield
    finally:
        if hidden_in_collection:
            scene.collection.objects.unlink(rig)
        if hidden:
            rig.hide_viewport = True


def _outside(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, rig: bpy.types.Object) -> bool:
    """Whether the rig is only in collections that are disabled or excluded."""
    if rig.name in scene.collection.objects:
        return False
    return not any(_reached(layer.layer_collection, rig))


def _reached(branch: bpy.types.LayerCollection, rig: bpy.types.Object) -> Iterator[bool]:
    if branch.exclude or branch.collection.hide_viewport:
        return
    yield rig.name in branch.collection.objects
    for child in branch.children:
        yield from _reached(child, rig)


@contextmanager
def _frame_kept(scene: bpy.types.Scene) -> Iterator[None]:
    frame, subframe = scene.frame_current, scene.frame_subframe
    try:
        yield
    finally:
        scene.frame_set(frame, subframe=subframe)


@contextmanager
def _pose_kept(rig: bpy.types.Object) -> Iterator[None]:
    """Changing the frame throws unkeyed poses and slider values away; this puts them back."""
    count = len(rig.pose.bones)
    pose = {channel: np.empty(count * width, np.float32) for channel, width in POSE_CHANNELS.items()}
    for channel, values in pose.items():
        rig.pose.bones.foreach_get(channel, values)
    sliders = [
        (owner, {key: value for key, value in owner.items() if isinstance(value, (bool, int, float))})
        for owner in (rig, rig.data, *rig.pose.bones)
    ]
    try:
        yield
    finally:
        for channel, values in pose.items():
            rig.pose.bones.foreach_set(channel, values)
        for owner, values in sliders:
            for key, value in values.items():
                if owner.get(key) != value:
                    owner[key] = value
        rig.update_tag()


def may_move(depsgraph: bpy.types.Depsgraph) -> bool:
    """Whether a rig may move by what a depsgraph was updated for; a mesh that shows another picture moves none."""
    if any(map(depsgraph.id_type_updated, ("ARMATURE", "ACTION"))):
        return True
    return depsgraph.id_type_updated("OBJECT") and any(
        isinstance(update.id, bpy.types.Object)
        and not (
            update.id.type == "MESH"
            and update.is_updated_shading
            and not (update.is_updated_geometry or update.is_updated_transform)
        )
        for update in depsgraph.updates
    )
