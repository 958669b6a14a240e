# SPDX-License-Identifier: GPL-3.0-or-later
"""What draws chunks of a job on one machine, with its server or engine kept warm from one chunk to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from portrait_shared.client.rendering import StoredFrame
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.private_folders import PrivateFolder
from portrait_shared.files.whole_files import read_bounded
from portrait_shared.frames.frame_files import prepare_folder
from portrait_shared.frames.frame_marks import MAX_FRAME_BYTES
from portrait_shared.frames.frame_numbers import ranges_of

from portrait_server.farm.drawn_frames import DrawnFrames, drawn_frames
from portrait_server.farm.farm_job import JOB_FILE, FarmJob
from portrait_server.farm.inputs import INPUTS_FOLDER
from portrait_server.farm.shared_folders import comes_back

_OF_FOLDERS: Final = (ErrorCode.OUTPUT_NOT_WRITABLE, ErrorCode.FILE_MISSING, ErrorCode.BAD_IMAGE)
"""What a folder that is out of reach makes of writing frames, and of reading those of a shot."""
_MOST_IN_VAIN: Final = 3


class JobWorker:
    """A context manager: within it frames are drawn, and as many chunks as one likes."""

    def __init__(
        self, job: FarmJob, *, device: str = "auto", connect: Path | None = None, output: Path | None = None
    ) -> None:
        """
        Args:
            device: what draws, as `portrait_shared.devices.device_names` takes it.
            connect: connection file of the server that draws photos; one of its own where None.
            output: folder of the frames; the job's own where None.
        """
        self._job, self._device, self._connect = job, device, connect
        self._output = job.default_output if output is None else output
        self._is_ready = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Makes ready to draw.

        Raises:
            PortraitError: as `drawn_frames` and what that gives; VERSION_MISMATCH where other frames would be drawn here
                than the job says.
        """
        with ExitStack() as stack:
            self._drawn = stack.enter_context(
                drawn_frames(self._job.located, self._device, self._connect, "portrait job render")
            )
            _check_same(self._job, self._drawn)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def render(self, frames: Sequence[int], again: bool = False) -> Iterator[StoredFrame]:
        """Brings frames up to date in the output folder, which other machines may write to at the same time.

        Where the folder, or that of the job, is out of reach for a while, it is waited for; see `shared_folders`.

        Args:
            frames: a chunk of the job's.
            again: draws also those that are there and valid.

        Yields:
            Every frame, once its file is there: first those that are valid.

        Raises:
            PortraitError: BAD_TRACK for a frame that the job has not; OUTPUT_NOT_WRITABLE, DISK_FULL; what drawing raises.
        """
        check_chunk(self._job, frames)
        if not self._is_ready:
            keep_inputs(self._job, self._output)
            self._drawn.keep_sources(self._output)
            prepare_folder(self._output)
            self._is_ready = True
        missing, in_vain = set(frames), 0
        while missing:
            try:
                if not self._output.is_dir():
                    raise _vanished(self._output)
                for frame in self._drawn.store(self._output, only=frozenset(missing), again=again):
                    missing.discard(frame.number)
                    in_vain = 0
                    yield frame
            except PortraitError as error:
                if error.code not in _OF_FOLDERS or in_vain == _MOST_IN_VAIN or not self._comes_back(error):
                    raise
                in_vain += 1

    def render_bytes(self, frames: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Draws frames for another machine, with which no folder is shared: numbers, and contents of files.

        Raises:
            PortraitError: as `render`.
        """
        check_chunk(self._job, frames)
        with PrivateFolder() as folder:
            for frame in self._drawn.store(folder, only=frames):
                yield frame.number, read_bounded(frame.path, MAX_FRAME_BYTES)
                frame.path.unlink()

    def _comes_back(self, error: PortraitError) -> bool:
        """Whether all is within reach again after a failure; a shot, of which files were open, is opened anew."""
        if not comes_back([self._job.folder / JOB_FILE], [self._output], error.message):
            return False
        if self._job.is_shot:
            self._stack.close()
            self.__enter__()
        return True


def keep_inputs(job: FarmJob, output: Path) -> None:
    """Raises: PortraitError: OUTPUT_NOT_WRITABLE for a folder within that of a job's inputs."""
    inputs = (job.folder / INPUTS_FOLDER).resolve()
    if output.resolve().is_relative_to(inputs):
        raise PortraitError(
            ErrorCode.OUTPUT_NOT_WRITABLE, f"{output} is where the job's inputs lie, among which no frames belong.",
            "Choose another output folder, or none: then frames go into the job's own.",
        )  # fmt: skip


def _vanished(output: Path) -> PortraitError:
    return PortraitError(
        ErrorCode.OUTPUT_NOT_WRITABLE, f"{output} is no longer there.",
        "Frames that were written stay: run it again when the folder is back.",
    )  # fmt: skip


def check_chunk(job: FarmJob, frames: Sequence[int]) -> None:
    """Raises: PortraitError: BAD_TRACK for frames that a job has not."""
    if beyond := sorted(set(frames) - job.digests.keys()):
        raise PortraitError(
            ErrorCode.BAD_TRACK, f"The job has the frames {ranges_of(job.frames)}; {ranges_of(beyond)} are not among them.",
            "Ask for frames of the job, or write the job again with more.",
        )  # fmt: skip


def _check_same(job: FarmJob, drawn: DrawnFrames) -> None:
    """Whether the same frames are drawn here as where the job was written."""
    if drawn.release != job.release:
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH,
            f"The server is of Talking Portraits {drawn.release}, the job of {job.release}.",
            "Install the same release on every machine of the farm, or leave out --connect.",
        )
    engine, fingerprint = drawn.engine
    if (engine, fingerprint) != (job.engine, job.fingerprint):
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH,
            f"The job was written for the engine {job.engine} ({job.fingerprint}); here {engine} is {fingerprint}.",
            "Install the same release with the same weights on every machine of the farm, or write the job again.",
        )
    if drawn.digests != job.digests or drawn.size != job.size:
        raise PortraitError(
            ErrorCode.VERSION_MISMATCH, "Here other frames would be drawn than the job says, by their hashes.",
            "Its files were changed while it was written, or libraries read pictures otherwise here: write the job "
            "again, or install the same release on every machine of the farm.",
        )  # fmt: skip
