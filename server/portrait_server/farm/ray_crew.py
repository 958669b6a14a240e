# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers of a job on a Ray cluster: placed, greeted, given chunks as they get free, replaced where they die."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import held_file, write_error
from portrait_shared.frames.frame_files import file_digest, frame_path, write_frame
from portrait_shared.frames.frame_marks import mark_of

from portrait_server.farm.chunks import Chunk, Chunks
from portrait_server.farm.farm_job import JOB_FILE, FarmJob
from portrait_server.farm.ray_gpus import Machine, ask_machines
from portrait_server.farm.ray_placement import Placement, Wish, on_gpus, placement
from portrait_server.farm.ray_worker import FULL, NO_JOB, RayWorker
from portrait_server.networks.device import drawing_bytes

log = logging.getLogger(__name__)

_MOST_SENT_BYTES: Final = 1 << 30
_FAILED_STARTS: Final = 3
"""So many workers in a row may die before one of them is ready, then no more are made."""
_WAIT_SECONDS: Final = 0.5
_PLACED_SECONDS: Final = 600.0
_END_SECONDS: Final = 10.0


@dataclass(eq=False)
class _Member:
    """One worker, and what it was last asked."""

    actor: Any
    doing: str = "greet"
    name: str = "a worker"
    sends: bool = False
    ready: bool = False
    chunk: Chunk | None = None
    given: float = 0.0
    pace: float | None = None


@dataclass
class RayCrew:
    """All workers of one job.

    Args:
        ray: the module, connected.
        job: what they draw.
        output: folder of the frames, as this machine sees it.
        frames: that are to be drawn.
        again: whether frames that are there and valid are drawn, too.
        stored: told of every frame whose file is there: its number, whether it was drawn now, the file's SHA-256 (hex).
        note: told, in a sentence, what a person may want to know.
    """

    ray: Any
    wish: Wish
    job: FarmJob
    output: Path
    frames: tuple[int, ...]
    again: bool
    stored: Callable[[int, bool, str], None]
    note: Callable[[str], None]
    _members: list[_Member] = field(default_factory=list)
    _seated: list[Any] = field(default_factory=list)
    _asked: dict[Any, _Member] = field(default_factory=dict)
    _refusals: list[PortraitError] = field(default_factory=list)
    _failed_starts: int = 0
    _files: Any = None

    def run(self, cancelled: Callable[[], bool]) -> None:
        """Draws all frames; no worker is left behind, whatever ends it.

        Raises:
            PortraitError: CANCELLED; BUSY where no worker finds a place; what keeps all workers from drawing, or a chunk
                from being drawn.
        """
        self._place = self._placement()
        wanted = min(self.wish.workers or self._place.room, len(self.frames))
        self._chunks = Chunks(self.frames, wanted)
        self._token = secrets.token_hex(16)
        try:
            with held_file(self.output, self._token.encode("ascii")) as probe:
                self._probe = probe.name
                for _ in range(wanted):
                    self._add()
                self._draw_all(cancelled)
            self._end()
        except ConnectionError:  # the cluster was lost, not the folder
            raise
        except OSError as error:
            raise write_error(self.output, error) from error
        finally:
            for member in list(self._members):
                self._remove(member)
            for actor in self._seated:
                self.ray.kill(actor)

    def _placement(self) -> Placement:
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        if on_gpus((node["Resources"] for node in nodes), self.wish.device):
            machines = ask_machines(self.ray, nodes, self.wish.device)
        else:
            machines = [Machine(node["Resources"]) for node in nodes]
        found = placement(machines, self.wish, drawing_bytes(self.job.size))
        for text in found.left_out:
            self.note(text)
        return found

    def _draw_all(self, cancelled: Callable[[], bool]) -> None:
        last_ready = time.monotonic()
        while not self._chunks.finished:
            if cancelled():
                raise PortraitError(
                    ErrorCode.CANCELLED, "The render was cancelled.", "Render again to go on where it stopped."
                )
            done, _ = self.ray.wait(list(self._asked), timeout=_WAIT_SECONDS)
            for reference in done:
                self._take(reference)
            for member in self._members:
                if member.ready and member.chunk is None and self._chunks.waiting:
                    self._hand_out(member)
            if any(member.ready for member in self._members):
                last_ready = time.monotonic()
            elif not self._members:
                raise self._refusals[-1]
            elif time.monotonic() - last_ready > _PLACED_SECONDS:
                raise PortraitError(
                    ErrorCode.BUSY, f"No worker was ready within {_PLACED_SECONDS / 60:.0f} minutes.",
                    "Wait until the cluster is free, as `ray status` shows, or ask for smaller workers.",
                )  # fmt: skip

    def _add(self) -> None:
        actor = self.ray.remote(RayWorker).options(max_restarts=0, max_task_retries=0, **self._place.options)
        member = _Member(actor.remote(int(self._place.options["num_cpus"]), not self._place.needs))
        self._members.append(member)
        self._ask(member, "greet")

    def _ask(self, member: _Member, doing: str, *given: Any) -> None:
        member.doing = doing
        self._asked[getattr(member.actor, doing).remote(*given)] = member

    def _take(self, reference: Any) -> None:
        member = self._asked.pop(reference)
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._died(member, error)
            return
        if member.doing == "greet":
            self._greeted(member, answer)
        elif member.doing == "begin":
            self._begun(member, answer)
        else:
            self._drawn(member, answer)

    def _greeted(self, member: _Member, answer: Mapping[str, str]) -> None:
        member.name = f"the worker on {answer['host']}, process {answer['process']}"
        if answer["release"] != __version__:
            raised = PortraitError(
                ErrorCode.VERSION_MISMATCH,
                f"On {answer['host']} Talking Portraits is {answer['release']}, here it is {__version__}.",
                "Install the same release on every machine of the cluster.",
            )
            self._refuse(member, raised)
            return
        self._ask(member, "begin", self._order())

    def _order(self) -> dict[str, Any]:
        return {
            "job": str(self.job.folder.resolve()), "digest": self.job.digest, "output": str(self.output.resolve()),
            "probe": self._probe, "token": self._token, "device": self.wish.device if self._place.needs else "cpu",
            "needs": self._place.needs,
        }  # fmt: skip

    def _begun(self, member: _Member, answer: Mapping[str, Any]) -> None:
        if answer.get("error"):
            self._refuse(member, PortraitError(*answer["error"]))
        elif answer["state"] == FULL:
            self._sit(member, answer["seen"])
        elif answer["state"] == NO_JOB:
            self._ask(member, "begin", self._order(), self._sent_files())
        else:
            self._failed_starts = 0
            member.ready, member.sends = True, answer["sends"]
            self.note(f"Ready: {member.name}{', which sends its frames back' if member.sends else ''}")

    def _sit(self, member: _Member, seen: str) -> None:
        """Leaves a worker where its GPU has too little memory: while it holds that place, Ray gives the next one another."""
        if len(self._seated) >= self._place.spare:
            self._refuse(member, PortraitError(
                ErrorCode.DEVICE_UNAVAILABLE, f"{seen[0].upper()}{seen[1:]}.",
                "Close other programs that use the GPU, or render smaller frames.",
            ))  # fmt: skip
            return
        self._members.remove(member)
        self._seated.append(member.actor)
        self._add()

    def _sent_files(self) -> Any:
        """The job's files for those who do not see its folder, put into the cluster once."""
        if self._files is None:
            names = [JOB_FILE, *self.job.inputs]
            paths = {name: self.job.folder / name for name in names}
            if (total := sum(path.stat().st_size for path in paths.values())) > _MOST_SENT_BYTES:
                raise PortraitError(
                    ErrorCode.FILE_MISSING,
                    f"Workers do not see the folder {self.job.folder}, and its {total / 2**30:.1f} GiB are too many to send.",
                    "Put the job into a folder that all machines of the cluster see under the same path.",
                )
            self._files = self.ray.put({name: path.read_bytes() for name, path in paths.items()})
        return self._files

    def _hand_out(self, member: _Member) -> None:
        chunk = self._chunks.next(member.pace, member.sends)
        member.chunk, member.given = chunk, time.monotonic()
        self._ask(member, "draw", list(chunk.frames), self.again)

    def _drawn(self, member: _Member, answer: Mapping[str, Any]) -> None:
        chunk, member.chunk = member.chunk, None
        assert chunk is not None
        member.pace = (time.monotonic() - member.given) / len(chunk.frames)
        done = {number for number, *_ in answer["stored"]}
        for frame in answer["stored"]:
            self.stored(*frame)
        for number, data in answer["frames"]:
            if (mark := mark_of(data)) is not None and mark.digest == self.job.digests[number]:
                write_frame(frame_path(self.output, number, suffix=self.job.suffix), data)
                self.stored(number, True, file_digest(data))
                done.add(number)
        if done == {*chunk.frames}:
            self._chunks.drawn(max((len(data) for _, data in answer["frames"]), default=0))
            return
        why = PortraitError(ErrorCode.INTERNAL, "frames came back damaged.")
        why = PortraitError(*answer["error"]) if answer["error"] else why
        self.note(f"Failed: {chunk}, drawn by {member.name}: {why}")
        self._replace(member)
        self._chunks.failed(chunk, frozenset(done), why)

    def _died(self, member: _Member, error: BaseException) -> None:
        reason = _reason(error)
        chunk = member.chunk
        self.note(f"Lost: {member.name}{f', which drew {chunk}' if chunk else ''} ({reason})")
        if not member.ready:
            self._failed_starts += 1
        if self._failed_starts < _FAILED_STARTS:
            self._replace(member)
        else:
            self._refuse(member, PortraitError(
                ErrorCode.SERVER_LOST, f"Workers end before they are ready: {reason}",
                f"Install Talking Portraits {__version__} on every machine of the cluster, for the same Python; their logs "
                "in Ray's folder say more.",
            ))  # fmt: skip
        if chunk is not None:
            why = PortraitError(
                ErrorCode.SERVER_LOST,
                f"its worker died ({reason}).",
                "Give workers more memory: fewer of them on a node.",
            )
            self._chunks.failed(chunk, frozenset(), why)

    def _refuse(self, member: _Member, why: PortraitError) -> None:
        """Goes on without a worker."""
        self.note(f"Left out: {member.name}. {why}")
        self._refusals.append(why)
        self._remove(member)

    def _replace(self, member: _Member) -> None:
        self._remove(member)
        self._add()

    def _remove(self, member: _Member) -> None:
        self._members.remove(member)
        self.ray.kill(member.actor)

    def _end(self) -> None:
        """Lets workers end their servers by themselves, those that do so soon."""
        ending = [member.actor.end.remote() for member in self._members if member.ready]
        if ending:
            self.ray.wait(ending, num_returns=len(ending), timeout=_END_SECONDS)


def _reason(error: BaseException) -> str:
    """What Ray says of a worker's death, in one line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    of_code = [line for line in lines if line.startswith(("ModuleNotFoundError", "ImportError", "AttributeError"))]
    telling = of_code or [line for line in lines if line.startswith("The actor is dead because")] or lines[:1]
    return telling[0].split(" Worker exit type:")[0].rstrip(".") if telling else type(error).__name__
