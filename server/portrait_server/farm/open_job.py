# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm job as an Open Job Description template (``jobtemplate-2023-09``), which `openjd run`, AWS Deadline Cloud and
others run.

The specification: github.com/OpenJobDescription/openjd-specifications. Frames are handed out in chunks by its extension
TASK_CHUNKING (RFC 0001). All commands are calls of the `portrait` program without a shell, so that the template runs on
Windows too.
"""

from __future__ import annotations

import json
from typing import Final

from portrait_shared.frames.frame_numbers import ranges_of

from portrait_server.farm.farm_job import FRAMES_FOLDER, JOB_FILE, FarmJob
from portrait_server.farm.inputs import INPUTS_FOLDER

CHUNK_FRAMES: Final = 24
"""Frames of a task unless a farm asks otherwise: some seconds of work, so that starting a process does not count."""
_MOST_CHUNK_FRAMES: Final = 150  # Deadline Cloud takes no more
_NAME_CHARACTERS: Final = 100
_VALUE_CHARACTERS: Final = 1024
"""A string parameter's value is no longer."""


def template_of(job: FarmJob) -> str:
    """The text of ``template.yaml``. It names no path but those of the job's own folder."""
    frames = ranges_of(job.frames)
    is_parameter = len(frames) <= _VALUE_CHARACTERS
    values = {
        "name": _quoted(f"Talking Portraits: {job_name(job)}"),
        "engine": _quoted(job.engine),
        "frames_parameter": _FRAMES_PARAMETER % {"frames": _quoted(frames)} if is_parameter else "",
        "range": '"{{Param.Frames}}"' if is_parameter else _quoted(frames),
        "verified": '\n              - "--frames={{Param.Frames}}"' if is_parameter else "",
        "environment": "" if job.is_shot else _ENVIRONMENT,
        "drawn_by": _IN_THE_TASK if job.is_shot else _BY_THE_SERVER,
    }
    constants = {
        "job_file": JOB_FILE, "inputs": INPUTS_FOLDER, "output": FRAMES_FOLDER,
        "chunk": CHUNK_FRAMES, "most": _MOST_CHUNK_FRAMES,
    }  # fmt: skip
    return _TEMPLATE % (values | constants)


def job_name(job: FarmJob) -> str:
    """The job's name without what a manager would take for its own: braces, and characters that cannot be seen."""
    seen = "".join(sign if sign.isprintable() and sign not in "{}" else " " for sign in job.name)
    return " ".join(seen.split())[:_NAME_CHARACTERS] or "portrait"


def _quoted(text: str) -> str:
    """A scalar of YAML."""
    return json.dumps(text)


_FRAMES_PARAMETER: Final = """\
  - name: Frames
    type: STRING
    minLength: 1
    default: %(frames)s
    description: Frames to draw, such as 1-48, 3,7,10-12 or 1-47:2; of those that the job has.
    userInterface: {control: LINE_EDIT, label: Frames, groupLabel: Frames}
"""

_ENVIRONMENT: Final = """\
    stepEnvironments:
      - name: PortraitServer
        description: One server for all tasks that a worker does of this step, with engine and portrait kept warm.
        script:
          actions:
            onEnter:
              command: "{{Param.Portrait}}"
              args:
                - job
                - start-server
                - --connection-file
                - "{{Session.WorkingDirectory}}/portrait-server.json"
                - --device
                - "{{Param.Device}}"
                - --engine
                - "{{Param.Engine}}"
              timeout: 600
            onExit:
              command: "{{Param.Portrait}}"
              args:
                - job
                - stop-server
                - --connection-file
                - "{{Session.WorkingDirectory}}/portrait-server.json"
              timeout: 120
"""

_BY_THE_SERVER: Final = """\
- --connect
              - "{{Session.WorkingDirectory}}/portrait-server.json\""""

_IN_THE_TASK: Final = """\
- --device
              - "{{Param.Device}}\""""

_TEMPLATE: Final = """\
# Written by Talking Portraits. `openjd run template.yaml` renders all of it on this machine.
specificationVersion: jobtemplate-2023-09
extensions:
  - TASK_CHUNKING
name: %(name)s
description: >-
  Frames of an animated portrait. A rerun draws only what is missing; any part may be drawn by any machine that has the
  same release of the server.
parameterDefinitions:
%(frames_parameter)s\
  - name: ChunkSize
    type: INT
    minValue: 1
    maxValue: %(most)d
    default: %(chunk)d
    description: Frames of a task.
    userInterface: {control: SPIN_BOX, label: Frames Per Task, groupLabel: Frames}
  - name: OutputFolder
    type: PATH
    objectType: DIRECTORY
    dataFlow: OUT
    default: %(output)s
    description: Where the frames go.
    userInterface: {control: CHOOSE_DIRECTORY, label: Output Folder, groupLabel: Frames}
  - name: Device
    type: STRING
    minLength: 1
    default: auto
    description: What draws, as --device of portrait takes it, such as auto, cpu, cuda or cuda:0,cuda:1.
    userInterface: {control: LINE_EDIT, label: Device, groupLabel: Worker}
  - name: Portrait
    type: STRING
    minLength: 1
    default: portrait
    description: The portrait program as workers find it, a name on their path or a whole path.
    userInterface: {control: LINE_EDIT, label: Server Command, groupLabel: Worker}
  - name: Engine
    type: STRING
    allowedValues: [%(engine)s]
    default: %(engine)s
    description: What draws the frames. Another one takes another job.
    userInterface: {control: DROPDOWN_LIST, label: Engine, groupLabel: Worker}
  - name: JobFolder
    type: PATH
    objectType: DIRECTORY
    dataFlow: NONE
    default: "."
    description: The folder that this file lies in.
    userInterface: {control: HIDDEN}
  - name: JobFile
    type: PATH
    objectType: FILE
    dataFlow: IN
    default: %(job_file)s
    description: What is drawn, and each frame's content hash.
    userInterface: {control: HIDDEN}
  - name: InputsFolder
    type: PATH
    objectType: DIRECTORY
    dataFlow: IN
    default: %(inputs)s
    description: All files that the frames are made of.
    userInterface: {control: HIDDEN}
steps:
  - name: Render
%(environment)s\
    parameterSpace:
      taskParameterDefinitions:
        - name: Frames
          type: CHUNK[INT]
          range: %(range)s
          chunks:
            defaultTaskCount: "{{Param.ChunkSize}}"
            rangeConstraint: NONCONTIGUOUS
    script:
      actions:
        onRun:
          command: "{{Param.Portrait}}"
          args:
              - job
              - render
              - "{{Param.JobFolder}}"
              - "--frames={{Task.Param.Frames}}"
              - --output
              - "{{Param.OutputFolder}}"
              %(drawn_by)s
              - --report
              - openjd
          cancelation:
            mode: NOTIFY_THEN_TERMINATE
            notifyPeriodInSeconds: 15
  - name: Verify
    description: Fails unless every frame is there, whole and of this job.
    dependencies:
      - dependsOn: Render
    script:
      actions:
        onRun:
          command: "{{Param.Portrait}}"
          args:
              - job
              - verify
              - "{{Param.JobFolder}}"%(verified)s
              - --output
              - "{{Param.OutputFolder}}"
              - --report
              - openjd
"""
