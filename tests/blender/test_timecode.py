# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a face recording come at their real times, whatever their timecode counts in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from blender_addon.importers.live_link import read_live_link
from blender_addon.importers.timecode import is_timecode, seconds_of_timecodes

HOUR = 3600


def code(frame: float, nominal: int, last: str = ":", digits: int = 3, point: str = ".") -> str:
    """The timecode of a frame number that need not be whole."""
    thousandths = round(frame * 10**digits)
    whole, part = divmod(thousandths, 10**digits)
    seconds, number = divmod(whole, nominal)
    hours = seconds // HOUR % 24
    return f"{hours:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{last}{number:02d}" + (
        f"{point}{part:0{digits}d}" if digits else ""
    )


def drop_code(frame: int, nominal: int) -> str:
    """SMPTE ST 12-1: the first numbers of each minute but every tenth are skipped."""
    skipped = nominal // 15
    label = 0
    for _ in range(frame // (600 * nominal - 9 * skipped)):
        label += 600 * nominal
    rest = frame % (600 * nominal - 9 * skipped)
    minutes = 0 if rest < 60 * nominal else 1 + (rest - 60 * nominal) // (60 * nominal - skipped)
    return code(label + rest + skipped * minutes, nominal, ";", 0)


def check(codes: list[str], seconds: np.ndarray, fps: float, within: float = 1e-3) -> None:
    rate, times = seconds_of_timecodes(codes)
    np.testing.assert_allclose(times, seconds, atol=within)
    assert rate == pytest.approx(fps, rel=1e-3)


@pytest.mark.parametrize("nominal", [24, 25, 30, 48, 50, 60, 100, 120])
@pytest.mark.parametrize("rows", [24, 25, 30, 50, 60])
def test_parts_of_a_frame_count_in_frames_of_the_timecode(nominal: int, rows: int) -> None:
    n = np.arange(4 * rows)
    check([code(HOUR * nominal + 7 + k * nominal / rows, nominal) for k in n], n / rows, rows, 2e-3)


@pytest.mark.parametrize("nominal", [24, 25, 30, 50, 60])
def test_less_than_a_second_over_a_turn_of_the_second(nominal: int) -> None:
    n = np.arange(nominal // 2)
    check([code(nominal * 100 - 5 + k, nominal) for k in n], n / nominal, nominal)


@pytest.mark.parametrize(("nominal", "step"), [(60, 1), (30, 0.5), (24, 0.4), (25, 25 / 60), (120, 2)])
def test_within_one_second_it_is_what_gives_arkits_rows(nominal: int, step: float) -> None:
    first = 5 if nominal < 120 else 65
    n = np.arange(20)
    check([code(HOUR * nominal + first + k * step, nominal) for k in n], n / 60, 60, 2e-3)


@pytest.mark.parametrize("nominal", [30, 60])
@pytest.mark.parametrize("minute", [1, 9, 10, 11, 59, 60])
def test_drop_frame_over_full_minutes(nominal: int, minute: int) -> None:
    skipped = nominal // 15
    first = minute * 60 * nominal - skipped * (minute - minute // 10) - nominal
    n = np.arange(3 * nominal)
    check([drop_code(first + int(k), nominal) for k in n], n * 1001 / 1000 / nominal, nominal * 1000 / 1001)


def test_drop_frame_for_twenty_minutes() -> None:
    n = np.arange(0, 36_000)
    check([drop_code(int(k), 30) for k in n], n * 1001 / 30_000, 30_000 / 1001)


@pytest.mark.parametrize("nominal", [24, 25, 30, 60])
def test_over_midnight(nominal: int) -> None:
    n = np.arange(3 * nominal)
    check([code(24 * HOUR * nominal - nominal + k, nominal) for k in n], n / nominal, nominal)


def test_drop_frame_over_midnight() -> None:
    day = 144 * 17_982
    n = np.arange(90)
    check([drop_code((day - 45 + int(k)) % day, 30) for k in n], n * 1001 / 30_000, 30_000 / 1001)


def test_rows_that_share_a_timecode_are_spread_over_it() -> None:
    n = np.arange(180)
    check([code(k // 2, 30, digits=0) for k in n], n / 60, 60)


def test_a_clock_that_never_ran() -> None:
    check(["00:00:00:00.000"] * 90, np.arange(90) / 60, 60)


def test_lost_rows_leave_a_gap_and_move_nothing() -> None:
    n = np.array([k for k in range(300) if not 50 <= k < 95 and k % 60 != 59])
    rate, times = seconds_of_timecodes([code(60 * 100 + k, 60) for k in n])
    np.testing.assert_allclose(times, n / 60, atol=1e-6)
    assert rate == pytest.approx(60, rel=0.05)


def test_rows_out_of_order() -> None:
    rate, times = seconds_of_timecodes([code(3000 + k, 60) for k in (2, 0, 1, *range(3, 120))])
    np.testing.assert_allclose(times[:3], np.array([2, 0, 1]) / 60, atol=1e-6)
    assert rate == 60


def test_one_row() -> None:
    _, times = seconds_of_timecodes(["01:02:03:04.567"])
    np.testing.assert_array_equal(times, [0.0])


@pytest.mark.parametrize("text", ["1:2:3:4", "01:02:03;04", "01:02:03:04.5", "01:02:03:04,500", "01;02;03;04"])
def test_what_is_a_timecode(text: str) -> None:
    assert is_timecode(text)


@pytest.mark.parametrize("text", ["", "01:02:03", "a:b:c:d", "01:02:03:04.", "-1:02:03:04", "9" * 400 + ":1:1:1"])
def test_what_is_no_timecode(text: str) -> None:
    assert not is_timecode(text)


def table(separator: str, comma: bool, names: tuple[str, ...] = ("JawOpen", "EyeBlinkLeft"), end: str = "\n") -> str:
    def cell(text: str) -> str:
        text = text.replace(".", ",") if comma else text
        return f'"{text}"' if separator in text else text

    rows = [separator.join(("Timecode", "BlendShapeCount", *names))]
    for k in range(90):
        rows.append(separator.join((cell(code(60 * 100 + k, 60)), "61", cell(f"{k / 90:.6f}"), cell("0.250000"))))
    return end.join(rows) + end


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_way_to_write_a_table(tmp_path: Path, separator: str, comma: bool, encoding: str) -> None:
    path = tmp_path / "take.csv"
    path.write_bytes(table(separator, comma, end="\r\n").encode(encoding))
    recording = read_live_link(path)
    np.testing.assert_allclose(recording.weights["jawOpen"], np.arange(90) / 90, atol=1e-5)
    np.testing.assert_allclose(recording.seconds, np.arange(90) / 60, atol=1e-6)
    assert recording.fps == 60 and recording.skipped == 0
    assert np.all(recording.weights["eyeBlinkLeft"] == 0.25)


@pytest.mark.parametrize(
    "names", [("jawOpen", "eyeBlink_L"), ("Jaw Open", "Eye Blink Left"), ("jaw_open", "eye_blink_left")]
)
def test_every_way_to_name_a_column(tmp_path: Path, names: tuple[str, str]) -> None:
    path = tmp_path / "take.csv"
    path.write_text(table(",", False, names), encoding="utf-8")
    assert set(read_live_link(path).weights) == {"jawOpen", "eyeBlinkLeft"}


def test_what_spreadsheets_leave_behind(tmp_path: Path) -> None:
    """A hint for each other, empty lines, empty cells at the ends of rows, and the same row twice."""
    lines = table(";", True).splitlines()
    lines[5:5] = [lines[4], "", ";;"]
    (tmp_path / "take.csv").write_text("sep=;\n\n" + ";;\n".join(lines), encoding="utf-8")
    recording = read_live_link(tmp_path / "take.csv")
    assert len(recording.seconds) == 90 and recording.fps == 60 and recording.skipped == 0


@pytest.mark.parametrize("lost", [(), range(20, 23), range(1, 200, 9)])
def test_parts_of_a_frame_that_tremble_change_no_rate(tmp_path: Path, lost: Sequence[int]) -> None:
    kept = [k for k in range(400) if k not in lost]
    lines = [f"00:00:{k // 30:02d}:{k % 30:02d}.{k * 37 % 90:03d},61,0.5" for k in kept]
    (tmp_path / "take.csv").write_text("\n".join(["Timecode,BlendShapeCount,JawOpen", *lines]), encoding="utf-8")
    assert read_live_link(tmp_path / "take.csv").fps == 30


def test_digits_of_other_scripts_are_no_timecode() -> None:
    assert is_timecode("01:02:03:04") and not is_timecode("٠١:٠٢:٠٣:٠٤")


def test_a_drop_frame_timecode_between_semicolons(tmp_path: Path) -> None:
    lines = [f"{drop_code(1780 + k, 30)};61;{k / 60:.4f}" for k in range(60)]
    (tmp_path / "take.csv").write_text("\n".join(["Timecode;BlendShapeCount;JawOpen", *lines]), encoding="utf-8")
    np.testing.assert_allclose(read_live_link(tmp_path / "take.csv").seconds, np.arange(60) * 1001 / 30_000, atol=1e-6)
