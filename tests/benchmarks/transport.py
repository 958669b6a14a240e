# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames/s of the transport alone: 512x512 RGBA from a real server whose engine computes nothing.

The reference is a bare ZeroMQ pipe between two processes that sends as many bytes and nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zmq
from portrait_shared.client.client import Client
from portrait_shared.client.launcher import ServerProcess
from portrait_shared.protocol.references import ReferenceImage

SIDE = 512
_BARE_SENDER = """
import sys, zmq
context = zmq.Context()
socket = context.socket(zmq.PUSH)
socket.sndhwm = 16
socket.connect(sys.argv[1])
frame = bytearray(int(sys.argv[3]))
for _ in range(int(sys.argv[2])):
    socket.send(frame, copy=False)
context.destroy(linger=10_000)
"""


def bare_rate(frames: int) -> float:
    """Frames/s of a PUSH/PULL pair over ipc."""
    with tempfile.TemporaryDirectory() as folder:
        context = zmq.Context()
        receiver = context.socket(zmq.PULL)
        receiver.rcvhwm = 16
        address = f"ipc://{folder}/bare"
        receiver.bind(address)
        sender = subprocess.Popen([sys.executable, "-c", _BARE_SENDER, address, str(frames), str(SIDE * SIDE * 4)])
        receiver.recv(copy=False)
        start = time.perf_counter()
        for _ in range(frames - 1):
            np.frombuffer(receiver.recv(copy=False).buffer, np.uint8)[0]
        seconds = time.perf_counter() - start
        context.destroy(linger=0)
        sender.wait()
    return (frames - 1) / seconds


def served_rate(frames: int) -> float:
    """Frames/s through server and client, raw."""
    server = ServerProcess([sys.executable, str(Path(__file__).with_name("constant_engine_server.py"))], device="cpu")
    with Client(server) as client:
        points = np.full((frames + 1, 70, 3), 30, np.float32)
        portrait = client.prepare([ReferenceImage(np.zeros((64, 64, 3), np.uint8), points[0])], engine="constant")
        stream = client.render(portrait, points, range(frames + 1), size=(SIDE, SIDE), matte=True, encoding="raw")
        next(stream)
        start = time.perf_counter()
        for frame in stream:
            frame.data[0, 0, 0]
        return frames / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    frames = parser.parse_args().frames
    rounds = [(bare_rate(frames), served_rate(frames)) for _ in range(3)]
    bare, served = (sorted(rates)[1] for rates in zip(*rounds, strict=True))
    print(f"transport at {SIDE}x{SIDE} RGBA: {served:.0f} frames/s; a bare ZeroMQ pipe: {bare:.0f} frames/s")
    print(f"ratio: {served / bare:.2f}")


if __name__ == "__main__":
    main()
