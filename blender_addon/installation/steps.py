# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation does, one step after another, in a folder that is claimed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import write_whole

from . import bundled, checking, environments, layout, records, settings, torch_backends, uv_failures
from .choices import Choice
from .environments import Installed
from .lock_file import Package, read_lock
from .meter import Meter
from .plans import check_choice
from .python_archive import unpack_python
from .pythons import Python, choose, runs_on
from .sizes import bytes_in, size_words
from .uv_runs import Runs
from .wheels_folder import WheelsFolder, read_folder

PAUSES_SECONDS: Final = (1.0, 3.0, 9.0, 27.0)
"""Before each further try, where the connection broke; uv itself has tried several times by then."""
_EXTRAS: Final = "speech,live"
_SERVER: Final = "talking-portraits"
_LOCK: Final = "pylock.toml"
_UNPACKED: Final = 3.5
"""What packages take on the disk, with the cache, against their downloads."""
_SPARE_BYTES: Final = 200_000_000


class _Failed(Exception):
    """A run of uv failed.

    Attributes:
        lines: what it said.
        doing: what it was to do.
    """

    def __init__(self, lines: Sequence[str], doing: str) -> None:
        super().__init__(doing)
        self.lines = lines
        self.doing = doing

    def told(self) -> PortraitError:
        return uv_failures.failure(self.lines, self.doing)


class Steps:
    """One installation.

    Args:
        folder: the place, claimed by `lock`, which programs that are started hold, too.
        log: given every line.
        note: given what a person should know though nothing failed.
    """

    def __init__(
        self, folder: Path, lock: int, log: Callable[[str], None], meter: Meter, note: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._log = log
        self._meter = meter
        self._note = note
        self._runs = Runs(folder, log, lock)
        self._woken = threading.Event()
        self._uv = folder / layout.UV
        self._variables: dict[str, str] = {}

    def cancel(self) -> None:
        """From any thread."""
        self._runs.cancel()
        self._woken.set()

    def install(self, choice: Choice, repair: bool) -> Installed:
        """Does all of it.

        Raises:
            PortraitError: whatever went wrong, in words. What was installed before still is.
            OSError: the folder cannot be written.
        """
        check_choice(choice)
        meant = torch_backends.meant(choice.backend)
        wheel = bundled.server_wheel()
        release = bundled.release_of(wheel)
        wheels = None if choice.wheels is None else read_folder(choice.wheels, release)
        self._prepare(choice)
        if wheels is not None:
            self._meter.at(0.01, "Checking the folder of wheels")
            wheels.check(lambda: self._runs.cancelled)
        python = self._python(choice, wheels, runs_on(wheel))
        environment = layout.next_environment(self._folder)
        try:
            self._make(environment, python, wheels is not None)
            self._packages(environment, choice, wheels, wheel, repair)
            self._meter.at(0.92, "Trying the server")
            checked = checking.check(self._runs, environment, self._variables, release)
            if choice.backend in ("cuda", "rocm", "xpu") and not checked.backend.startswith(meant[:2]):
                self._note(f"PyTorch that was found is not {torch_backends.words(meant)} but “{checked.backend}”.")
            for line in checked.notes:
                self._note(line)
            if self._runs.cancelled:
                raise PortraitError(ErrorCode.CANCELLED, "Cancelled.")
            found = environments.complete(self._folder, environment, release, checked.python, checked.backend)
        except BaseException:
            self._meter.at(0.0, "Clearing up")
            shutil.rmtree(layout.long(environment), ignore_errors=True)
            raise
        self._tidy()
        return found

    def _prepare(self, choice: Choice) -> None:
        """The folder, uv in it, and what uv is told."""
        self._meter.at(0.0, "Getting ready")
        environments.sweep(self._folder)
        environments.straighten(self._folder)
        for name in layout.FOLDERS:
            (self._folder / name).mkdir(exist_ok=True)
        given = dict(os.environ)
        offline = choice.wheels is not None
        self._variables = settings.environment(self._folder, given, choice.index, offline)
        self._variables["UV_CONFIG_FILE"] = str(self._folder / layout.SETTINGS)
        kept = "" if offline else settings.kept_settings(given, choice.index)
        write_whole(self._folder / layout.SETTINGS, kept.encode())
        (self._folder / layout.SETTINGS).chmod(0o600)  # addresses in it may have passwords
        program = bundled.uv_program()
        unfinished = self._folder / "tmp" / layout.UV
        shutil.copyfile(program, unfinished)  # a zip forgets that it is a program
        unfinished.chmod(0o755)
        unfinished.replace(self._uv)

    def _python(self, choice: Choice, wheels: WheelsFolder | None, versions: tuple[str, ...]) -> Python:
        self._meter.at(0.02, "Looking for Python")
        offline = wheels is not None
        if wheels is not None and wheels.python:
            versions = tuple(version for version in versions if version == wheels.python)
            if not versions:
                raise PortraitError(
                    ErrorCode.BAD_CONFIGURATION, f"The folder is for Python {wheels.python}, which the server does not run on.",
                    "Make the folder anew.",
                )  # fmt: skip
        if wheels is not None and wheels.python_archive is not None and not choice.python:
            program = unpack_python(wheels.python_archive, self._folder / "pythons")
            return Python(str(program), wheels.python, True)
        return choose(self._runs, self._uv, self._variables, choice.python, versions, download=not offline)

    def _make(self, environment: Path, python: Python, offline: bool) -> None:
        words = "Making the environment" if python.there else f"Downloading Python {python.version} (about 35 MB)"
        self._meter.at(0.04, words)
        command = ["venv", "--no-project", "--relocatable", "--python", python.request, str(environment)]
        if offline or python.there:
            command.append("--no-python-downloads")
        doing = "Making the environment" if python.there else uv_failures.DOWNLOADING_PYTHON
        self._persevere(lambda: self._run_uv(command, doing))

    def _packages(
        self, environment: Path, choice: Choice, wheels: WheelsFolder | None, wheel: Path, repair: bool
    ) -> None:
        requirements = self._folder / "tmp" / "requirements.txt"
        requirements.write_text(f"{_SERVER}[{_EXTRAS}] @ {wheel.as_uri()}\n", encoding="utf-8")
        source = ["--offline", "--no-index", "--find-links", str(wheels.wheels)] if wheels is not None else []
        flag = "" if wheels is not None else torch_backends.flag(choice.backend)
        for backend in dict.fromkeys((flag, "")):
            options = [*source, *(["--torch-backend", backend] if backend else [])]
            try:
                self._persevere(
                    lambda options=options: self._install(environment, requirements, options, repair), backend
                )
                return
            except _Failed as failed:
                if not backend or not uv_failures.about_pytorch(failed.lines):
                    raise failed.told() from None
                self._note("PyTorch's own index cannot be reached: PyTorch is taken from the index at hand.")
                self._log("PyTorch's own index cannot be reached: PyTorch is taken from the index at hand.")

    def _persevere(self, act: Callable[[], None], backend: str = "") -> None:
        """Tries again where the connection broke.

        Raises:
            PortraitError, or `_Failed` where `backend` says that another index may help.
        """
        for pause in (*PAUSES_SECONDS, None):
            try:
                act()
                return
            except _Failed as failed:
                elsewhere = bool(backend) and uv_failures.about_pytorch(failed.lines)
                if elsewhere or pause is None or not uv_failures.may_pass(failed.lines):
                    if backend:
                        raise
                    raise failed.told() from None
                self._meter.at(0.0, "The connection broke: trying again")
                self._log(f"Trying again in {pause:.0f} s.")
                self._woken.wait(pause)

    def _install(self, environment: Path, requirements: Path, options: Sequence[str], repair: bool) -> None:
        python = str(layout.python_in(environment))
        lock = self._folder / "tmp" / _LOCK
        lock.unlink(missing_ok=True)
        self._meter.at(0.06, "Choosing the packages")
        self._run_uv(
            ["pip", "compile", str(requirements), "--python", python, "--format", "pylock.toml",
             "--output-file", str(lock), *(["--refresh"] if repair else []), *options],
            "Choosing the packages",
        )  # fmt: skip
        packages = read_lock(lock)
        self._check_room(packages)
        self._meter.expect(packages)
        self._meter.at(0.08, f"Downloading {len(packages)} packages")
        pins = self._folder / "tmp" / "pins.txt"
        server = requirements.read_text(encoding="utf-8")
        lines = [package.pin for package in packages if package.name != _SERVER]
        pins.write_text("\n".join([server.strip(), *lines, ""]), encoding="utf-8")
        install = ["pip", "install", "--no-deps", "--requirements", str(pins), "--python", python]
        install += ["--strict", *(["--compile-bytecode"] if not repair else []), *options]
        self._run_uv(install, "Installing the packages", watched=True)
        self._meter.at(0.88, "Comparing the files with their packages")
        found = records.damaged(environment, lambda: self._runs.cancelled, hashes=repair)
        if found:
            self._log(f"Damaged: {', '.join(found)}; downloading them anew.")
            self._run_uv(["cache", "clean", *found], "Clearing the cache")
            again = [word for name in found for word in ("--reinstall-package", name)]
            self._run_uv([*install, *again], "Installing the packages", watched=True)
            if records.damaged(environment, lambda: self._runs.cancelled, hashes=repair):
                raise PortraitError(
                    ErrorCode.INTERNAL, "Files of the server change after they were written.",
                    "Check the disk and the virus scanner, then repair the server.",
                )  # fmt: skip
        if repair:
            self._run_uv([*install, "--compile-bytecode"], "Compiling the packages")

    def _check_room(self, packages: Sequence[Package]) -> None:
        there = {package.name for package in packages if package.near}
        download = sum(package.size for package in packages if package.name not in there)
        needed = int(sum(package.size for package in packages) * _UNPACKED) + _SPARE_BYTES
        free = shutil.disk_usage(self._folder).free
        # What an earlier, broken one has downloaded is there already.
        needed -= bytes_in(self._folder / "cache")
        self._log(
            f"To be downloaded: at most {size_words(download)}; disk: {size_words(max(needed, 0))} of {size_words(free)}."
        )
        if needed > free:
            raise PortraitError(
                ErrorCode.DISK_FULL,
                f"The server needs about {size_words(needed)} of disk, and {size_words(free)} are free at {self._folder}.",
                "Free some room, then install again; what worked before still does.",
            )

    def _run_uv(self, words: Sequence[str], doing: str, watched: bool = False) -> None:
        ended, watch = threading.Event(), None
        if watched:
            watch = threading.Thread(target=self._meter.watch, args=(self._folder / "cache", ended), daemon=True)
            watch.start()
        try:
            run = self._runs.run([self._uv, *words], self._variables, self._meter.take)
        finally:
            ended.set()
            if watch is not None:
                watch.join()
        if run.status != 0:
            raise _Failed(run.lines or [f"uv ended with status {run.status}"], doing)

    def _tidy(self) -> None:
        """Removes what no later installation needs: the old environment, and what packages were built in."""
        self._meter.at(0.98, "Clearing up")
        environments.sweep(self._folder)
        for left in (self._folder / "cache").glob("sdists-*/**/src"):
            shutil.rmtree(layout.long(left), ignore_errors=True)
