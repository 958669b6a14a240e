# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps new keys from being seen as they are, in words: muted channels, drivers, modifiers, the NLA."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import bpy

from ..blender import compat
from ..blender.problems import listed
from ..curves.rig_curves import is_locked, moved_by_strips, nla_plays, strips_play_outside
from . import head_turns
from .rig_keys import all_channels, driven, name_of

_SHOWN = 3


def of_rig(rig: bpy.types.Object) -> list[str]:
    """Sentences on the face's channels: those that are locked, so that new keys were not set, and `unseen`."""
    paths = face_paths(rig)
    locked = [curve.data_path for curve in compat.fcurves_of(rig) if curve.data_path in paths and is_locked(curve)]
    return [*left_alone(locked), *unseen(rig, paths)]


def left_alone(locked: Iterable[str]) -> list[str]:
    """What to tell of the data paths that `replace_range` left alone because they are locked: a sentence, or nothing."""
    names = _names(locked)
    if not names:
        return []
    were = (
        "1 locked channel was left as it is"
        if len(names) == 1
        else f"{len(names)} locked channels were left as they are"
    )
    return [f"{were}: {listed(names, _SHOWN)}."]


def unseen(rig: bpy.types.Object, paths: Collection[str]) -> list[str]:
    """Sentences on the data paths that were keyed; none where the rig does what their keys say."""
    curves = [curve for curve in compat.fcurves_of(rig) if curve.data_path in paths]
    acting = [(curve, {each.type for each in curve.modifiers if not each.mute}) for curve in curves]
    repeated = [curve.data_path for curve, kinds in acting if "CYCLES" in kinds]
    modified = [curve.data_path for curve, kinds in acting if kinds - {"CYCLES"}]
    found = (
        (
            (curve.data_path for curve in curves if compat.is_muted(curve)),
            "muted, so its keys are not seen: unmute {it}",
        ),
        (driven(rig) & set(paths), "driven, so its keys do nothing: remove the driver of {it} to use them"),
        (modified, "changed by F-curve modifiers, the new keys too: mute them in the Graph Editor for {it}"),
        (repeated, "repeated by a Cycles modifier, which other frames follow too: bake the channel before for {it}"),
    )
    notes = []
    for channels, words in found:
        names = _names(channels)
        if names:
            of = "1 channel is " if len(names) == 1 else f"{len(names)} channels are "
            words = (
                words
                if len(names) == 1
                else words.replace("its keys", "their keys").replace("the driver", "the drivers")
            )
            notes.append(f"{of}{words.format(it=listed(names, _SHOWN))}.")
    return notes + _on_nla(rig)


def over_strips(rig: bpy.types.Object, paths: Collection[str], first: float, last: float) -> list[str]:
    """To be asked before keys are set from `first` to `last`: a sentence where other frames will not be the strips' any
    more. An action moves a channel from its first frame to its last one, whatever lies between, and holds it beyond
    them unless its extrapolation is Nothing.
    """
    if not nla_plays(rig) or strips_play_outside(rig, first, last):
        return []
    curves = compat.fcurves_of(rig)
    keyed = {curve.data_path for curve in curves}
    taken = set(paths) - keyed
    frames = [frame for curve in curves for frame in curve.range()]
    apart = first > max(frames) + 1 or last < min(frames) - 1
    if apart and rig.animation_data.action_extrapolation == "NOTHING":
        taken |= keyed
    names = _names(taken & {path for path, _ in moved_by_strips(rig)})
    if not names:
        return []
    return [
        f"Other frames than {first:g} to {last:g} have changed too: the action now holds there what NLA strips moved "
        f"({listed(names, _SHOWN)}). To let them play, undo, push the action down "
        "in the Nonlinear Animation editor, and do this again."
    ]


def face_paths(rig: bpy.types.Object) -> set[str]:
    """The data paths of all the face's channels."""
    return {path for path, _, _ in all_channels(head_turns.turn_channel(rig))}


def _names(paths: Iterable[str]) -> list[str]:
    return sorted({name_of(path) for path in paths})


def _on_nla(rig: bpy.types.Object) -> list[str]:
    """What the strips under the action do, or it to them."""
    if not nla_plays(rig):
        return []
    animation = rig.animation_data
    solo = next((track.name for track in animation.nla_tracks if track.is_solo), None)
    if solo is not None:
        return [f"The NLA track “{solo}” plays alone (solo), so the new keys are not seen: turn its star off."]
    if animation.action_blend_type != "REPLACE" or animation.action_influence < 1:
        kind = animation.bl_rna.properties["action_blend_type"].enum_items[animation.action_blend_type].name
        return [
            f"The action is mixed with the NLA strips under it ({kind}, {animation.action_influence:.0%}): "
            "the face does not do what the keys alone say."
        ]
    return []
