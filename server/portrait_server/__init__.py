# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference server and the `portrait` command. Never imports bpy."""

import os

# Read when NumPy is loaded, which comes later. NumPy's matrices here are small, but OpenBLAS has a thread per core work
# on each, and those wait for the next in a loop: that took the half of two cores from the threads that draw.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Read when torch is loaded: what it cannot compute on Apple's GPU, it computes on the processor.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
