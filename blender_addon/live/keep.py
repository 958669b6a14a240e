# SPDX-License-Identifier: GPL-3.0-or-later
"""A take of the list becomes keys on its portrait's rig."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np

from ..blender.scene_time import scene_fps
from ..capture import jobs
from ..capture.keying import Report
from ..portraits.live_takes import PORTRAIT_PG_live_take
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.armature import rest_points
from ..rig.sampling import check_rig
from . import kept_takes, sessions
from .blending import blended
from .recorded import Recorded
from .take_keys import Keeping, frame_of_timecode, take_of


def keep(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, take: PORTRAIT_PG_live_take) -> Report:
    """Keys a take as the portrait's settings say, in place of what was keyed there. The rig shows its keys then: it
    follows the performer no longer until that is asked for again.

    Raises:
        PortraitError: BAD_TRACK, SCENE; nothing is keyed then.
    """
    check_rig(scene, portrait.rig)
    recorded = kept_takes.read(take)
    live = portrait.live
    keeping = Keeping(
        live.use_face, live.use_head, live.expression, live.head, live.smoothing, _first(scene, portrait, recorded)
    )
    rest = rest_points(portrait.rig, portrait.space).astype(np.float64)
    captured = take_of(recorded, rest, scene_fps(scene), keeping)
    drove = (session := sessions.of(portrait.uid)) is not None and session.drives
    sessions.drive(portrait.uid, False)  # a rig that is driven would lend its pose to the frames outside
    try:
        bpy.context.view_layer.update()
        captured = blended(portrait.rig, portrait.space, captured, live.blend)
        report = jobs.key(scene, portrait, captured, take.name, jobs.KeyOptions(live.tolerance))
    except Exception:
        sessions.drive(portrait.uid, drove)
        raise
    take.is_kept = True
    if drove:
        told = "The rig shows its keys now: press Follow to let the performer move it again."
        report = replace(report, notes=(*report.notes, told))
        jobs.keep_report(portrait.uid, report)
    return report


def _first(scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, recorded: Recorded) -> float | None:
    live = portrait.live
    if live.placing == "CURRENT":
        return float(scene.frame_current)
    if live.placing == "TIMECODE":
        return frame_of_timecode(recorded, live.start_timecode, scene.frame_start, scene_fps(scene))
    return None
