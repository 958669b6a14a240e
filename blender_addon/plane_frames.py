# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered frames on the plane: file N at scene frame N, the one before held where files are missing.

All of it lies in the .blend: an image sequence, which Blender plays without gaps, and where there are gaps a driver
that holds the sequence back. Farms and other machines need no extension to render the plane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import bpy
import numpy as np
from portrait_shared.frame_files import frame_path

from . import compat, stored_paths

BEFORE_ZERO_NODE: Final = "Portrait before 0"
_NEVER = 1_048_574  # the last frame a scene can have: a sequence that starts there holds its first picture
_WANTED_KEY: Final = "talking_portrait_wanted"
_UNTIL_KEY: Final = "talking_portrait_until"
_AWAY_KEY: Final = "talking_portrait_away"
_GIVEN_SPACE_KEY: Final = "talking_portrait_given_space"
_GIVEN_ALPHA_KEY: Final = "talking_portrait_given_alpha"
# Blender cuts the fraction off a driven whole number. Between two frames the value must stay on the earlier one's.
_SUBFRAME: Final = 1 / 64
_CONSTANT, _LINEAR = 0, 1

Key = tuple[float, float, int]
"""(scene frame, what is added to the number played, interpolation)."""


@dataclass(frozen=True)
class Reel:
    """How Blender plays files of one sequence.

    File played = clamp(scene frame - start + 1, 0, duration) + offset, the offset being driven where there are keys.

    Attributes:
        first: number of the first frame's file, which names the sequence.
        keys: of the driver; empty where the files have no gaps.
    """

    first: int
    start: int
    duration: int
    offset: int
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, there: list[int]) -> Reel:
        """For frames all 0 or later, or all before 0, in order."""
        runs = _runs(there)
        if there[0] < 0:
            # Blender reads the sign as a part of the name, and so counts these files backwards.
            return cls(there[0], _NEVER, 1, -there[0], tuple(_keys_of_backward(runs)))
        first, last = there[0], there[-1]
        if len(runs) > 1:
            # All is driven: Blender may draw before it has evaluated the driver, and a number added to one that had
            # moved on already would be a file that is not there.
            return cls(first, _NEVER, 1, first, tuple(_keys_of_gaps(runs)))
        # Starting one frame late makes the clamp at 0 the first file, so that it is held before the range instead of
        # a file that does not exist.
        return cls(first, first + 1 if last > first else _NEVER, max(last - first, 1), first, ())


def show(
    node: bpy.types.ShaderNodeTexImage, folder: Path, numbers: Iterable[int], stretch: float, prefix: str = ""
) -> bool:
    """Plays the frame files of a folder; whether anything on the plane changed. `numbers` must not be empty.

    Args:
        stretch: see `scene_time.stretch`.
    """
    there = sorted(set(numbers))
    before, after = [n for n in there if n < 0], [n for n in there if n >= 0]
    changed = _play(node, folder, Reel.of(after or before), stretch, prefix)
    second = _node_before_zero(node)
    if before and after:
        if second is None:
            second, changed = _add_node_before_zero(node), True
        changed |= _play(second, folder, Reel.of(before), stretch, prefix)
        changed |= _drive_mix(node, after[0], stretch)
    elif second is not None:
        changed |= second.image != node.image
        second.image = node.image
    if _AWAY_KEY in node:
        del node[_AWAY_KEY]
    return changed


def put(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image | None) -> None:
    """Shows one image at every frame."""
    node.image = image
    second = _node_before_zero(node)
    if second is not None:
        if second.image is not None and second.image.source == "SEQUENCE":
            second[_AWAY_KEY] = second.image
        second.image = image


def put_back(node: bpy.types.ShaderNodeTexImage, image: bpy.types.Image | None) -> None:
    """Shows what `put` has replaced."""
    node.image = image
    second = _node_before_zero(node)
    if second is not None:
        plays = image is not None and image.source == "SEQUENCE"
        second.image = (second.get(_AWAY_KEY) or image) if plays else image


def put_away(node: bpy.types.ShaderNodeTexImage, sequence: bpy.types.Image, photo: bpy.types.Image | None) -> bool:
    """Shows the photo for a sequence whose files have gone, until they are back; whether that is new."""
    if photo is None or node.image == photo:
        return False
    put(node, photo)
    node[_AWAY_KEY] = sequence
    return True


def note_wanted(node: bpy.types.ShaderNodeTexImage, numbers: Iterable[int]) -> None:
    """Keeps which frames the plane is to play, wherever their files are."""
    node[_WANTED_KEY] = [end for run in _runs(sorted(numbers)) for end in run]


def wanted(node: bpy.types.ShaderNodeTexImage, numbers: Iterable[int]) -> list[int]:
    """Those of the frames that the plane is to play, in order; all where nobody has said which."""
    ends = list(node.get(_WANTED_KEY, ()))
    asked = {n for first, last in zip(ends[::2], ends[1::2], strict=True) for n in range(first, last + 1)}
    return sorted(asked.intersection(numbers) if asked else set(numbers))


def show_solid(node: bpy.types.ShaderNodeTexImage, frame: int) -> None:
    """Makes active the picture that the plane shows at a frame: solid viewports draw the active one alone."""
    second, tree = _node_before_zero(node), node.id_data
    if second is not None:
        shown = second if frame < second.get(_UNTIL_KEY, 0) else node
        if tree.nodes.active != shown:
            tree.nodes.active = shown


def forget_away(node: bpy.types.ShaderNodeTexImage) -> None:
    """The photo is what the user wants to see."""
    if _AWAY_KEY in node:
        del node[_AWAY_KEY]


def wanted_sequence(node: bpy.types.ShaderNodeTexImage) -> bpy.types.Image | None:
    """The sequence that the plane plays, or would if its files were there; None where it is to show something else."""
    if node.image is not None and node.image.source == "SEQUENCE":
        return node.image
    return node.get(_AWAY_KEY)


def playing(node: bpy.types.ShaderNodeTexImage) -> list[bpy.types.Image]:
    """The sequences that the plane plays."""
    images = (each.image for each in (node, _node_before_zero(node)) if each is not None)
    return [image for image in images if image is not None and image.source == "SEQUENCE"]


def folder_of(sequence: bpy.types.Image) -> Path:
    """Where the files of a sequence lie."""
    return stored_paths.full(sequence.filepath, sequence.library).parent


def make_alike(image: bpy.types.Image, photo: bpy.types.Image | None) -> None:
    """Gives frames and live pictures the photo's colour space and alpha: their bytes mean what its bytes mean.

    What the user has set on them since stays. A photo of floats (16 bits, EXR) is read as light, and its frames are
    ordinary pictures of it: they keep what Blender gives to such files.
    """
    if photo is None or photo == image or photo.is_float:
        return
    if image.get(_GIVEN_SPACE_KEY, image.colorspace_settings.name) == image.colorspace_settings.name:
        if image.colorspace_settings.name != photo.colorspace_settings.name:
            image.colorspace_settings.name = photo.colorspace_settings.name
        image[_GIVEN_SPACE_KEY] = photo.colorspace_settings.name
    if image.get(_GIVEN_ALPHA_KEY, image.alpha_mode) == image.alpha_mode:
        if image.alpha_mode != photo.alpha_mode:
            image.alpha_mode = photo.alpha_mode
        image[_GIVEN_ALPHA_KEY] = photo.alpha_mode


def _play(node: bpy.types.ShaderNodeTexImage, folder: Path, reel: Reel, stretch: float, prefix: str) -> bool:
    image = _sequence(frame_path(folder, reel.first, prefix), node.image)
    changed = node.image != image
    if changed:
        node.image = image
    user = node.image_user
    settings = {
        "use_cyclic": False, "use_auto_refresh": True, "frame_start": reel.start, "frame_duration": reel.duration,
    }  # fmt: skip
    if not reel.keys:
        settings["frame_offset"] = reel.offset
    changed |= _drive_offset(node, reel.keys, stretch)
    for name, value in settings.items():
        if getattr(user, name) != value:
            setattr(user, name, value)
            changed = True
    return changed


def _sequence(first: Path, shown: bpy.types.Image | None) -> bpy.types.Image:
    """The image sequence of a folder: the one already shown if it is that, else a new one."""
    path = stored_paths.stored(first)
    if shown is not None and shown.source == "SEQUENCE" and folder_of(shown) == first.parent:
        if shown.filepath != path:
            shown.filepath = path
        return shown
    image = bpy.data.images.load(str(first))
    image.source = "SEQUENCE"
    image.filepath = path
    return image


def _runs(there: list[int]) -> list[tuple[int, int]]:
    """(first, last) of each stretch without gaps."""
    ends = [i for i, (one, other) in enumerate(pairwise(there)) if other > one + 1]
    return [(there[a], there[b]) for a, b in zip([0, *(i + 1 for i in ends)], [*ends, len(there) - 1], strict=True)]


def _keys_of_gaps(runs: list[tuple[int, int]]) -> Iterable[Key]:
    for first, last in runs:
        if last > first:
            yield first, first + _SUBFRAME, _LINEAR
        yield last, last + _SUBFRAME, _CONSTANT


def _keys_of_backward(runs: list[tuple[int, int]]) -> Iterable[Key]:
    for first, last in runs:
        yield from _falling(first, last, -first)
        yield last, -last, _CONSTANT


def _falling(start: int, end: int, value: int) -> Iterable[Key]:
    """Keys of a whole number that is `value` at frame `start` and one less at each frame up to `end`."""
    zero = min(end, start + max(value, 0))
    if zero > start:
        yield start, value + 1 - _SUBFRAME, _LINEAR
        yield zero - _SUBFRAME, value - (zero - start) + 1, _CONSTANT
    if zero < end:
        yield zero, value - (zero - start), _LINEAR
        yield end - _SUBFRAME, value - (end - start) + _SUBFRAME, _CONSTANT


def _drive_offset(node: bpy.types.ShaderNodeTexImage, keys: tuple[Key, ...], stretch: float) -> bool:
    tree = node.id_data
    path = f'nodes["{bpy.utils.escape_identifier(node.name)}"].image_user.frame_offset'
    driver = _driver_at(tree, path)
    if not keys:
        return driver is not None and tree.driver_remove(path)
    places = np.array([(frame * stretch, value) for frame, value, _ in keys], np.float32).ravel()
    if driver is not None and _places(driver) == places.tolist():
        return False
    if driver is not None:
        tree.driver_remove(path)
    # A driver and not an action: the material's own keys stay apart, and a copy of the material has its own.
    driver = compat.new_driver(tree, path)
    driver.driver.type, driver.driver.expression = "SCRIPTED", "frame"  # simple enough for Blender to need no Python
    driver.keyframe_points.add(len(keys))
    driver.keyframe_points.foreach_set("co", places)
    driver.keyframe_points.foreach_set("interpolation", [kind for *_, kind in keys])
    driver.extrapolation = "CONSTANT"
    driver.update()
    return True


def _places(driver: bpy.types.FCurve) -> list[float]:
    places = np.empty(2 * len(driver.keyframe_points), np.float32)
    driver.keyframe_points.foreach_get("co", places)
    found: list[float] = places.tolist()
    return found


def _driver_at(tree: bpy.types.NodeTree, path: str) -> bpy.types.FCurve | None:
    return tree.animation_data.drivers.find(path) if tree.animation_data is not None else None


def _node_before_zero(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage | None:
    return node.id_data.nodes.get(BEFORE_ZERO_NODE)


def _add_node_before_zero(node: bpy.types.ShaderNodeTexImage) -> bpy.types.ShaderNodeTexImage:
    """A second picture for frames before 0, whose files Blender cannot play in one sequence with the others."""
    tree = node.id_data
    second = tree.nodes.new("ShaderNodeTexImage")
    second.name = second.label = BEFORE_ZERO_NODE
    second.interpolation, second.projection, second.extension = node.interpolation, node.projection, node.extension
    second.location = (node.location[0], node.location[1] - 300)
    for link in list(node.inputs["Vector"].links):
        tree.links.new(link.from_socket, second.inputs["Vector"])
    for step, output in enumerate(("Color", "Alpha")):
        mix = tree.nodes.new("ShaderNodeMix")
        mix.name = mix.label = f"{BEFORE_ZERO_NODE}: {output}"
        mix.data_type = "RGBA" if output == "Color" else "FLOAT"
        mix.location = (node.location[0] + 280, node.location[1] - 200 - 250 * step)
        one, other, mixed = compat.mix_sockets(mix)
        for link in list(node.outputs[output].links):
            tree.links.new(mixed, link.to_socket)
        tree.links.new(node.outputs[output], one)
        tree.links.new(second.outputs[output], other)
        mix.inputs["Factor"].default_value = 0
    return second


def _drive_mix(node: bpy.types.ShaderNodeTexImage, first: int, stretch: float) -> bool:
    """Shows the second picture before the scene frame `first`."""
    tree, changed = node.id_data, False
    tree.nodes[BEFORE_ZERO_NODE][_UNTIL_KEY] = int(first)
    until = first * stretch
    for output in ("Color", "Alpha"):
        mix = tree.nodes.get(f"{BEFORE_ZERO_NODE}: {output}")
        if mix is None:  # the user has built the material anew
            continue
        path = mix.inputs["Factor"].path_from_id("default_value")
        expression = f"frame < {float(until)!r}"
        driver = _driver_at(tree, path)
        if driver is None:
            driver = compat.new_driver(tree, path)
            driver.driver.type = "SCRIPTED"
        if driver.driver.expression != expression:
            driver.driver.expression = expression
            changed = True
    return changed
