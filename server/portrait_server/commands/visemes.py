# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait visemes`: speech to timed mouth shapes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from portrait_shared.files.whole_files import write_whole

from portrait_server.commands.landmarks import check_writable, seconds
from portrait_server.speech.audio import LOUDNESS_FPS, RATE, loudness, read_speech
from portrait_server.speech.phones import SILENCE, Phone, spoken_phones
from portrait_server.speech.visemes import visemes_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="AUDIO", help="a sound, or a video with speech")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json", help="where the visemes are written")
    parser.add_argument("--text", default="", help="what is said, in English: far more accurate than without")
    parser.add_argument("--from", dest="start", type=seconds, default=0.0, metavar="SECONDS", help="where to begin")
    parser.add_argument("--to", dest="end", type=seconds, metavar="SECONDS", help="where to end")
    parser.add_argument(
        "--clock",
        choices=("picture", "sound"),
        default="picture",
        help="what second 0 of a video is: its first picture, or the first of its sound",
    )
    parser.add_argument("--progress", action="store_true", help="print lines of the form `Progress: 3/100`")


def run(args: argparse.Namespace) -> int:
    """Writes the file and says how much speech was found.

    Raises:
        PortraitError: FILE_MISSING, BAD_AUDIO, BAD_CONFIGURATION, DEVICE_UNAVAILABLE, OUTPUT_NOT_WRITABLE.
    """
    check_writable(args.output, args.input)
    start = max(args.start, 0.0)
    samples = read_speech(args.input, start, args.end, from_first_sound=args.clock == "sound")
    told = -1

    def progress(share: float) -> None:
        nonlocal told
        if args.progress and round(100 * share) != told:
            told = round(100 * share)
            print(f"Progress: {told}/100", flush=True)

    phones = spoken_phones(samples, args.text, progress)
    record = speech_record(phones, loudness(samples).tolist(), start, len(samples) / RATE)
    write_whole(args.output, json.dumps(record).encode())
    spoken = sum(phone.name != SILENCE for phone in phones)
    print(f"{spoken} phones in {len(samples) / RATE:.1f} s. Saved: {args.output}")
    return 0


def speech_record(phones: list[Phone], loud: list[float], start: float, seconds: float) -> dict[str, Any]:
    """What the file holds: times in seconds of the source, on the clock that was asked for; visemes without gaps."""
    shapes = [shape for phone in phones for shape in visemes_of(phone.name, phone.start, phone.end)]
    return {
        "format": "talking-portraits visemes 1",
        "start": start,
        "seconds": seconds,
        "phones": [[phone.name, round(start + phone.start, 4), round(start + phone.end, 4)] for phone in phones],
        "visemes": [[name, round(start + a, 4), round(start + b, 4)] for name, a, b in shapes],
        "loudness": {"fps": LOUDNESS_FPS, "values": [round(value, 3) for value in loud]},
    }
