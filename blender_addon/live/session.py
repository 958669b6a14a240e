# SPDX-License-Identifier: GPL-3.0-or-later
"""One portrait that is driven live: what its sources send moves the rig at once, and is recorded where that is wanted."""

from __future__ import annotations

import time
from typing import Final

import bpy
from portrait_shared.errors import PortraitError

from ..blender import problems
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig import key_checks
from ..rig.armature import rest_points
from ..rig.sampling import check_rig
from . import kept_takes, rig_values
from .playback import ScenePlayback
from .pose import Performer, Pose
from .recorded import Recorded
from .recorder import Recorder
from .source import LiveSource, Sample

_LONGEST_WAIT_SECONDS: Final = 0.05


class LiveSession:
    """Between ticks it keeps names and no Blender objects, which undo and loading free.

    Attributes:
        uid: the portrait's.
        sources: those that are connected, by their titles.
        drives: whether the rig is set to what comes; else it shows its keys.
        recorder: of the recording that goes on; None where there is none.
        playback: lets the scene play for it; None where it does not.
        last_note: how the last recording ended, a sentence.
        is_behind: whether the rig waits for a tick that sets it.
        switched_preview_on: whether the live preview is on for this session's sake.
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.sources: dict[str, LiveSource] = {}
        self.drives = True
        self.recorder: Recorder | None = None
        self.playback: ScenePlayback | None = None
        self.last_note = ""
        self.switched_preview_on = False
        self.is_behind = False
        self._performers: dict[str, Performer] = {}
        self._poses: dict[str, Pose] = {}
        self._pose = Pose()
        self._take_uid = ""
        self._shown_at = 0.0

    def connect(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, source: LiveSource) -> None:
        """Lets a source begin; one of the same title ends first.

        Raises:
            PortraitError: SCENE for a rig that cannot be driven; as the source's `start`.
        """
        check_rig(scene, portrait.rig)
        key_checks.check_editable(portrait.rig)
        self.disconnect(source.title)
        source.start()
        self.sources[source.title] = source
        self._performers[source.title] = Performer(rest_points(portrait.rig, portrait.space))

    def disconnect(self, title: str) -> None:
        """Ends a source; what it sent is still recorded."""
        source = self.sources.pop(title, None)
        self._poses.pop(title, None)
        if source is not None:
            source.stop()

    def set_neutral(self) -> bool:
        """Takes the performer, as seen now, for one at rest; whether anybody was seen."""
        return any([performer.set_neutral() for performer in self._performers.values()])

    @property
    def hint(self) -> str:
        """What the performer has to do now, or nothing."""
        return next((performer.hint for performer in self._performers.values() if performer.hint), "")

    def tick(self, scene: bpy.types.Scene, portrait: PORTRAIT_PG_portrait, rests: bool, waits: bool = False) -> bool:
        """Takes what came; whether the rig was changed by it.

        Args:
            rests: Blender renders or saves: the rig stays as it is without the session.
            waits: pictures cannot follow now: for a moment the rig waits for a newer pose too, which leaves them the
                processor.

        Raises:
            PortraitError: the rig was deleted or broken, or the scene cannot play.
        """
        self._hear()
        now = time.monotonic()
        if self.recorder is not None:
            self._record(portrait, now)
        if not self.is_behind or rests or not self.drives or (waits and now - self._shown_at < _LONGEST_WAIT_SECONDS):
            return False
        self._shown_at = now
        check_rig(scene, portrait.rig)
        return self.show(portrait)

    def _hear(self) -> None:
        """Takes what has come."""
        for title, source in self.sources.items():
            samples = source.take()
            if self.recorder is not None:
                self.recorder.hear(title, samples)
            self.is_behind |= self._see(title, samples)

    def _see(self, title: str, samples: list[Sample]) -> bool:
        """Whether a new pose came of it. Of pictures the last one counts: to find its sliders takes a while.

        Where two sources move one thing, the one that was connected later counts, as in what is recorded."""
        performer, pose = self._performers[title], None
        for number, sample in enumerate(samples):
            performer.see(sample)
            if sample.points is None or number == len(samples) - 1:
                new = performer.pose(sample)
                pose = new if pose is None or new is None else new.over(pose)
        if pose is None:
            return False
        self._poses[title] = pose.over(self._poses.get(title, Pose()))
        for connected in self.sources:
            self._pose = self._poses.get(connected, Pose()).over(self._pose)
        return True

    def show(self, portrait: PORTRAIT_PG_portrait) -> bool:
        """Sets the rig to the last pose; whether that changed it."""
        if not self.drives or portrait.rig is None:
            return False
        live = portrait.live
        self.is_behind = False
        return rig_values.write(portrait.rig, portrait.space, self._pose, live.use_face, live.use_head)

    def rest(self, portrait: PORTRAIT_PG_portrait) -> None:
        """Lets the rig be as it is without the session, until a pose is shown again."""
        self.is_behind = True
        if portrait.rig is not None:
            rig_values.put_back(portrait.rig)

    def _record(self, portrait: PORTRAIT_PG_portrait, now: float) -> None:
        recorder = self.recorder
        assert recorder is not None
        if self.sources and all(source.ended for source in self.sources.values()):
            recorder.stop(now, next(iter(self.sources.values())).problem or "Nothing more is sent.")
        try:
            recorder.tick(now)
        except PortraitError:
            self.recorder = self.playback = None
            raise
        if recorder.is_done:
            self.finish(portrait, now)

    def begin(self, recorder: Recorder, playback: ScenePlayback | None) -> None:
        """Records from now on."""
        self.recorder, self.playback = recorder, playback
        self.drives, self._take_uid, self.last_note = True, "", ""

    def recorded(self) -> Recorded | None:
        """What was recorded so far; None where nothing was."""
        return self.recorder.recorded(self._performers) if self.recorder is not None else None

    def keep_so_far(self, portrait: PORTRAIT_PG_portrait) -> bool:
        """Puts what was recorded so far into the .blend, which is about to be saved; whether there is anything."""
        recorded = self.recorded()
        if recorded is None:
            return False
        self._take_uid = kept_takes.put(portrait, recorded, self._take_uid).uid
        return True

    def finish(self, portrait: PORTRAIT_PG_portrait, now: float, why: str = "") -> bool:
        """Ends the recording and puts the take into the list; whether there is one."""
        if self.recorder is None:
            return False
        self._hear()
        recorder, self.recorder, self.playback = self.recorder, None, None
        recorder.stop(now, why)
        recorded = recorder.recorded(self._performers)
        if recorded is None:
            self.last_note = f"{recorder.why} Nothing was heard while it recorded: there is no take.".strip()
            return False
        take = kept_takes.put(portrait, recorded, self._take_uid)
        told = (recorder.why, f"“{take.name}” is in the list: {take.samples} samples.", *recorded.notes)
        self.last_note = " ".join(filter(None, told))
        problems.forget(self.uid)
        return True

    def end(self) -> None:
        """Stops all sources, and a recording without a take; touches none of Blender's data but the scene's playing."""
        if self.recorder is not None:
            self.recorder.stop(time.monotonic())
            self.recorder = self.playback = None
        for title in list(self.sources):
            self.disconnect(title)
