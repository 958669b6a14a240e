# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between Blender 4.2 and 5.2 that the extension meets, and only here; the compositor's: `compat_compositor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import bpy

if TYPE_CHECKING:
    import numpy as np


def path_options() -> set[str]:
    """Options of a path's property that let the user begin it with ``//``: newer Blenders want a word for that."""
    known = "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
    return {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"} if known else {"ANIMATABLE"}


def strips_of(editor: bpy.types.SequenceEditor | bpy.types.MetaStrip) -> Any:
    """The collection of strips of a sequencer or of a meta: ``strips`` since 4.4, ``sequences`` before."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequencer the user sees: a workspace may name another one since 5.0, or none."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strip_start(strip: Any) -> int:
    """The scene frame of the strip's first element, trimmed or not."""
    return round(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def set_strip_start(strip: Any, frame: int) -> None:
    """Moves the whole strip so that its first element is at `frame`."""
    if hasattr(strip, "content_start"):  # 5.1 renamed it; the old name goes in 6.0
        strip.content_start = frame
    else:
        strip.frame_start = frame


def sequencer_has_no_scene(context: bpy.types.Context) -> bool:
    """Whether the workspace names no scene for its sequencers, which are then empty: since 5.0 a new one does not."""
    workspace = getattr(context, "workspace", None)
    return hasattr(workspace, "sequencer_scene") and workspace.sequencer_scene is None


def handle_offsets(strip: Any) -> tuple[float, float]:
    """Frames by which a strip's handles lie inside its content (or, below 0, outside of it)."""
    if hasattr(strip, "left_handle_offset"):  # 5.1 renamed them; the old names go in 6.0
        return float(strip.left_handle_offset), float(strip.right_handle_offset)
    return float(strip.frame_offset_start), float(strip.frame_offset_end)


def set_handle_offsets(strip: Any, start: int, end: int) -> None:
    """Trims a strip to what lies between so many frames after its content's start and before its end."""
    if hasattr(strip, "left_handle_offset"):
        strip.left_handle_offset, strip.right_handle_offset = start, end
    else:
        strip.frame_offset_start, strip.frame_offset_end = start, end


def strip_range(strip: Any) -> range:
    """The scene frames that the strip shows."""
    if hasattr(strip, "right_handle"):
        return range(strip.left_handle, strip.right_handle)
    return range(strip.frame_final_start, strip.frame_final_end)


def set_strip_end(strip: Any, frame: int) -> None:
    """Trims or lengthens a strip so that `frame` is the first that it does not show any more."""
    if hasattr(strip, "right_handle"):  # 5.1 renamed it; the old name goes in 6.0
        strip.right_handle = frame
    else:
        strip.frame_final_end = frame


def is_retimed(strip: Any) -> bool:
    """Whether a strip plays at another speed than its media, or at several.

    Before 4.4 Blender tells the retiming keys of movies alone. Of others it is known whether their keys are shown, and of
    pictures whether they take up more or fewer frames than there are.
    """
    if hasattr(strip, "retiming_keys"):
        return len(strip.retiming_keys) > 0
    if getattr(strip, "show_retiming_keys", False):
        return True
    return strip.type == "IMAGE" and whole_length(strip) != len(strip.elements)


def whole_length(strip: Any) -> int:
    """How many scene frames a strip would take up were its handles at the ends of its content."""
    return len(strip_range(strip)) + round(sum(handle_offsets(strip)))


def sequencer_reads_layers() -> bool:
    """Whether strips can show EXR files of several layers. Before 4.4 Blender refuses them, and may then crash."""
    return bpy.app.version >= (4, 4, 0)


def ensure_node_tree(material: bpy.types.Material) -> bpy.types.NodeTree:
    """The material's nodes: always there since 5.0, where `use_nodes` is deprecated."""
    if material.node_tree is None:
        material.use_nodes = True
    return material.node_tree


def new_fcurves(target: bpy.types.Object, action: bpy.types.Action) -> Any:
    """Assigns an empty action to an object; the collection (F-curves, groups) its curves go to.

    Actions have slots since 4.4; the shortcut ``action.fcurves`` is gone since 5.0.
    """
    animation = target.animation_data_create()
    animation.action = action
    if not hasattr(action, "slots"):
        return action
    slot = action.slots.new(id_type="OBJECT", name=target.name)
    animation.action_slot = slot
    strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def copied_fcurves(target: bpy.types.Object, name: str) -> Any:
    """Gives an object a copy of its action, or an empty one; the collection its curves are in, as `new_fcurves`."""
    animation = target.animation_data
    before = animation.action if animation is not None else None
    if before is None or (hasattr(before, "slots") and animation.action_slot is None):
        return new_fcurves(target, bpy.data.actions.new(name))
    slot = animation.action_slot.identifier if hasattr(before, "slots") else ""
    action = before.copy()
    action.name = name
    animation.action = action
    if not slot:
        return action
    animation.action_slot = action.slots[slot]
    for layer in action.layers:
        for strip in layer.strips:
            return strip.channelbag(animation.action_slot, ensure=True)
    strip = (action.layers[0] if len(action.layers) else action.layers.new("Layer")).strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True)


def new_effect(strips: Any, name: str, kind: str, channel: int, start: int, length: int, below: Any) -> Any:
    """An effect strip of a kind over another strip; words of the call changed in 4.5 and in 5.0."""
    known = strips.bl_rna.functions["new_effect"].parameters
    end = {"length": length} if "length" in known else {"frame_end": start + length}
    over = {"input1" if "input1" in known else "seq1": below}
    return strips.new_effect(name=name, type=kind, channel=channel, frame_start=start, **end, **over)


def connect_strips(scene: bpy.types.Scene, strips: Sequence[Any]) -> None:
    """Connects strips, which then move together; Blender knows that since 4.3. What is selected stays so."""
    if "connect" not in dir(bpy.ops.sequencer):
        return
    known = bpy.types.WorkSpace.bl_rna.properties
    context = {"sequencer_scene": scene} if "sequencer_scene" in known else {"scene": scene}
    everything = list(strips_of(scene.sequence_editor))
    before = [strip.select for strip in everything]
    try:
        for strip in everything:
            strip.select = strip in strips
        with bpy.context.temp_override(**context):
            if bpy.ops.sequencer.connect.poll():
                bpy.ops.sequencer.connect()
    finally:
        for strip, selected in zip(everything, before, strict=True):
            strip.select = selected


def media_start(strip: Any) -> float:
    """The scene frame at which a strip's media would begin, were nothing of it trimmed away."""
    start = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    if hasattr(strip, "content_trim_start"):  # 5.1 renamed it; the old name goes in 6.0
        return float(start) - strip.content_trim_start
    trimmed = getattr(strip, "animation_offset_start", 0)
    return float(start) - trimmed


def media_frames(strip: Any) -> int:
    """How many scene frames a strip's media takes up, handles aside."""
    return int(strip.content_duration if hasattr(strip, "content_duration") else strip.frame_duration)


def sound_delay_seconds(strip: Any) -> float:
    """How much later a sound strip's sound begins than its media would; known since 4.5."""
    return float(getattr(strip, "sound_offset", 0.0))


def fcurves_of(target: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The F-curves that move `target`."""
    animation = target.animation_data
    if animation is None or animation.action is None:
        return []
    action = animation.action
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    slot = animation.action_slot
    if slot is None:
        return []
    bags = (strip.channelbag(slot) for layer in action.layers for strip in layer.strips)
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def is_muted(curve: bpy.types.FCurve) -> bool:
    """Whether a curve moves nothing. Since actions have slots, Blender evaluates those of a muted group all the same."""
    by_group = not hasattr(curve.id_data, "slots") and curve.group is not None and curve.group.mute
    return curve.mute or by_group


def fcurves_in(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """All F-curves of an action, whatever they move."""
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    bags = (bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags)
    return [curve for bag in bags for curve in bag.fcurves]


def insert_key(
    owner: bpy.types.bpy_struct, path: str, index: int = -1, frame: float | None = None, group: str = ""
) -> bool:
    """Keys a property as it is; whether that was allowed. Before 4.4 a locked or linked curve raises an error.

    Args:
        index: of the value; -1 for all.
        frame: the scene's where None.
        group: of a new curve; Blender's own choice where empty.
    """
    asked = {"index": index, "group": group} | ({} if frame is None else {"frame": frame})
    try:
        return bool(owner.keyframe_insert(path, **asked))
    except RuntimeError:
        return False


def is_selected(bone: bpy.types.PoseBone) -> bool:
    """The selection moved from the bone to the pose bone in 5.0."""
    return bone.select if bpy.app.version >= (5, 0, 0) else bone.bone.select


def new_driver(owner: bpy.types.ID, path: str) -> bpy.types.FCurve:
    """A driver whose curve has no keys and no modifiers: new ones come with some of them, others in each Blender."""
    driver = owner.driver_add(path)
    while len(driver.modifiers):
        driver.modifiers.remove(driver.modifiers[0])
    while len(driver.keyframe_points):
        driver.keyframe_points.remove(driver.keyframe_points[0])
    return driver


def mix_sockets(
    mix: bpy.types.ShaderNodeMix,
) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """The sockets (A, B, Result) of a Mix node's own type of data; it has those of all types, of the same names."""
    kind = {"RGBA": "RGBA", "FLOAT": "VALUE", "VECTOR": "VECTOR"}[mix.data_type]
    found = {socket.name: socket for socket in mix.inputs if socket.type == kind and socket.name in ("A", "B")}
    return found["A"], found["B"], next(socket for socket in mix.outputs if socket.type == kind)


def texture_colors(pixels: np.ndarray) -> np.ndarray:
    """Display colours (H, W, 4), 0 to 1, as a texture holds them that is drawn over a viewport.

    Before 5.0 Blender takes them for linear light, and encodes them (IEC 61966-2-1) as it draws.
    """
    if bpy.app.version >= (5, 0, 0):
        return pixels
    import numpy as np  # here, because the preferences are loaded with Blender, and numpy is not (see `startup`)

    color = pixels[..., :3]
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return np.concatenate((linear, pixels[..., 3:]), axis=-1).astype(np.float32)
