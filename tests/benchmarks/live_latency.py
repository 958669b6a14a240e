# SPDX-License-Identifier: GPL-3.0-or-later
"""Live performance: from a phone's packet being sent to its picture on the plane, against a slider set from Python.

Packets go by UDP through the phone's receiver; timers are called as Blender calls them, in bpy. What Blender's window
takes to draw comes on top. Both ways are measured by turns, so that a busy machine slows both alike. Then packets come
at 60 a second, as from a phone, while pictures follow as fast as they can.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import portrait_server  # noqa: F401 - before NumPy, whose BLAS it keeps from starting threads

# isort: split
import bpy
import numpy as np
from skimage.data import astronaut
from skimage.io import imsave

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.phone import Phone as FakePhone
from tests.phone_packets import made_performance, packets_of

AIM_MS = 150
LIVE_TICK, PREVIEW_TICK = 0.008, 0.01
STREAM_RATE = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long packets come at 60 a second")
    parser.add_argument("--size", default="256", choices=("256", "512", "FULL"))
    asked = parser.parse_args()
    import blender_addon

    os.environ["XDG_RUNTIME_DIR"] = folder = tempfile.mkdtemp()  # not a server that runs already
    imsave(f"{folder}/photo.png", astronaut(), check_contrast=False)
    blender_addon.register()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.portrait.add(filepath=f"{folder}/photo.png")
    portrait = bpy.context.scene.talking_portraits.active
    portrait.preview_size = asked.size
    measure(portrait, asked.packets, asked.seconds)
    blender_addon.unregister()


class Timers:
    """Calls the timers of live sessions and of previews when they are due, as Blender's loop does."""

    def __init__(self) -> None:
        self.live_at = self.preview_at = time.monotonic()

    def until(self, condition: Callable[[], bool]) -> None:
        from blender_addon.live import sessions
        from blender_addon.preview import live_preview

        while not condition():
            now = time.monotonic()
            if now >= self.live_at:
                if sessions.pump():
                    live_preview.pump()
                self.live_at = time.monotonic() + LIVE_TICK
            elif now >= self.preview_at:
                live_preview.pump()
                self.preview_at = time.monotonic() + PREVIEW_TICK
            else:
                time.sleep(max(0.0, min(self.live_at, self.preview_at) - now))


def measure(portrait: bpy.types.PropertyGroup, count: int, seconds: float) -> None:
    """Prints the latencies."""
    from blender_addon.connection import server
    from blender_addon.live import sessions
    from blender_addon.live.phones.receiver import Phone
    from blender_addon.preview import live_preview

    source = Phone(0, host="127.0.0.1")
    session = sessions.connect(portrait.uid, source, server.launch_plan(bpy.context))
    preview = live_preview.of(portrait.uid)
    phone = FakePhone(source.port)
    timers = Timers()
    moments = list(made_performance(seconds=(2 * count + seconds * STREAM_RATE + 200) / STREAM_RATE))
    packets = [packet for moment in moments for packet in packets_of("live-link", moment)]
    timers.until(lambda: preview.shown > 0 and preview.shown == preview.asked)

    def one(change: Callable[[], None]) -> float:
        asked, start = preview.asked, time.perf_counter()
        change()
        timers.until(lambda: asked < preview.asked == preview.shown)
        return time.perf_counter() - start

    def set_slider(value: float) -> None:
        portrait.rig["jawOpen"] = value
        portrait.rig.update_tag(refresh={"OBJECT"})
        bpy.context.view_layer.update()
        preview.note_change()

    live, plain = [], []
    for number in range(count):
        session.drives = True
        live.append(one(lambda: phone.send(packets.pop(0))))
        session.drives = False
        plain.append(one(lambda number=number: set_slider(0.3 + 0.3 * np.sin(number))))
    session.drives = True
    live_ms, plain_ms = (1000 * np.array(times[3:]) for times in (live, plain))
    print(
        f"{'x'.join(map(str, portrait.preview_frame_size))}: packet to picture {np.median(live_ms):.0f} ms "
        f"(95 % within {np.percentile(live_ms, 95):.0f}; aim {AIM_MS}), a slider set from Python "
        f"{np.median(plain_ms):.0f} ms: {np.median(live_ms) / np.median(plain_ms):.2f} of it; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )
    stream(timers, preview, phone, packets, seconds)
    phone.close()
    sessions.disconnect(portrait.uid)


def stream(timers: Timers, preview: object, phone: FakePhone, packets: list[bytes], seconds: float) -> None:
    """At the phone's own rate: the age of each picture when it was shown, from the sending of the packet it shows."""
    ages: list[float] = []
    sent: list[float] = []
    begun = time.monotonic()
    shown, asked_at = preview.shown, {}
    while time.monotonic() - begun < seconds:
        due = begun + len(sent) / STREAM_RATE
        if time.monotonic() >= due:
            phone.send(packets.pop(0))
            sent.append(time.monotonic())
        asked = preview.asked
        timers.until(lambda due=due, seen=(asked, shown): time.monotonic() >= due + 1 / STREAM_RATE
                     or (preview.asked, preview.shown) != seen)  # fmt: skip
        if preview.asked > asked:
            asked_at[preview.asked] = sent[-1]
        if preview.shown > shown:
            shown = preview.shown
            if shown in asked_at:
                ages.append(time.monotonic() - asked_at[shown])
    ages_ms = 1000 * np.array(ages)
    print(
        f"at {STREAM_RATE}/s for {seconds:.0f} s: {len(ages) / seconds:.1f} pictures a second, each "
        f"{np.median(ages_ms):.0f} ms after its packet (95 % within {np.percentile(ages_ms, 95):.0f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
