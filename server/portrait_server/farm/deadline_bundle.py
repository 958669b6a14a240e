# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm job's folder as a job bundle of AWS Deadline Cloud: what its submitter wants beside ``template.yaml``.

docs.aws.amazon.com/deadline-cloud, *Job bundles*.
"""

from __future__ import annotations

from typing import Final

_PARAMETER_VALUES: Final = """\
# What Deadline Cloud does with this job; the job's own parameters have their values in template.yaml.
parameterValues:
  - name: deadline:targetTaskRunStatus
    value: READY
  - name: deadline:priority
    value: 50
  - name: deadline:maxFailedTasksCount
    value: 20
  - name: deadline:maxRetriesPerTask
    value: 5
"""

_ASSET_REFERENCES: Final = """\
# What else the job needs or writes. Its own files are named by parameters of template.yaml, which Deadline Cloud looks up
# in this folder; paths in this file it would look up in the folder that it is called in.
assetReferences:
  inputs:
    filenames: []
    directories: []
  outputs:
    directories: []
  referencedPaths: []
"""

BUNDLE_FILES: Final = {"parameter_values.yaml": _PARAMETER_VALUES, "asset_references.yaml": _ASSET_REFERENCES}
"""The texts of the files, by their names. They are the same for every job: what differs is in its template."""
