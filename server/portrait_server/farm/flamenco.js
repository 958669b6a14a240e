// SPDX-License-Identifier: GPL-3.0-or-later
// A job type of Flamenco 3 for farm jobs of Talking Portraits. It goes into the folder `scripts` beside the
// flamenco-manager program as talking_portraits.js; one is enough for all jobs of a release.

const MOST_FRAMES = 1000000;

const JOB_TYPE = {
    label: "Talking Portraits",
    description: "Frames of an animated portrait, from a folder that Export Job or `portrait job write` has made",
    settings: [
        { key: "job_folder", type: "string", subtype: "dir_path", required: true,
          description: "Folder of the farm job, as all workers see it" },
        { key: "frames", type: "string", required: true,
          eval: "','.join(__import__('json').loads((abspath(settings.job_folder) / 'job.json').read_text())['frames'])"
              + " if settings.job_folder else ''",
          evalInfo: { showLinkButton: true, description: "All frames that the job has" },
          description: "Frames to draw, of those that the job has. Examples: '47', '1-30', '3, 5-10, 47-327'" },
        { key: "chunk_size", type: "int32", default: 24, propargs: { min: 1 }, visible: "submission",
          description: "Number of frames to draw in one task" },
        { key: "output_folder", type: "string", subtype: "dir_path", default: "", visible: "submission",
          description: "Where the frames go, as all workers see it; empty for the job's own folder 'frames'" },
        { key: "device", type: "string", default: "auto",
          description: "What draws: 'auto', 'cpu', 'cuda', or several GPUs such as 'cuda:0,cuda:1'" },
        { key: "portrait", type: "string", default: "portrait", visible: "submission",
          description: "The portrait program of the workers: a name on their path, a whole path, or a variable such as "
              + "'{portrait}' of the Manager's configuration" },
        { key: "task_type", type: "string", default: "blender", visible: "submission",
          description: "Type of the tasks: only workers whose configuration lists it do them" },
        { key: "job_path", type: "string", default: "", visible: "hidden",
          eval: "str(abspath(settings.job_folder)) if settings.job_folder else ''" },
        { key: "output_path", type: "string", default: "", visible: "hidden",
          eval: "str(abspath(settings.output_folder)) if settings.output_folder else ''" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    // Blender's own paths may start at the .blend; what the add-on made absolute comes before what was entered.
    const folder = settings.job_path || settings.job_folder;
    if (!folder) {
        throw new Error("No job folder: choose the one that Export Job or `portrait job write` has made.");
    }
    const output = settings.output_path || settings.output_folder;
    const verify = verifyTask(settings, folder, output);
    for (const chunk of chunksOf(settings.frames, settings.chunk_size || 24)) {
        const task = renderTask(settings, folder, output, chunk);
        job.addTask(task);
        verify.addDependency(task);
    }
    job.addTask(verify);
}

function renderTask(settings, folder, output, chunk) {
    const task = author.Task("render-" + chunk, settings.task_type || "blender");
    // The command for Blender is the one whose output Flamenco reads for previews and progress. It runs
    // `exe argsBefore blendfile args`, whatever program that is.
    task.addCommand(author.Command("blender-render", {
        exe: settings.portrait || "portrait",
        exeArgs: "",
        argsBefore: ["job", "render"],
        blendfile: folder,
        args: [
            "--frames=" + chunk,
            "--device", settings.device || "auto",
            "--report", "flamenco",
        ].concat(output ? ["--output", output] : []),
    }, numbersOf(chunk).length));
    return task;
}

function verifyTask(settings, folder, output) {
    const numbers = numbersOf(settings.frames);
    const task = author.Task("verify", settings.task_type || "blender");
    task.addCommand(author.Command("exec", {
        exe: settings.portrait || "portrait",
        args: [
            "job", "verify", folder,
            "--frames=" + chunksOf(settings.frames, numbers.length)[0],
        ].concat(output ? ["--output", output] : []),
    }));
    return task;
}

function chunksOf(frames, size) {
    if (numbersOf(frames)[0] >= 0) {
        return frameChunker(frames, size);
    }
    // Flamenco's chunker takes the sign of a frame before 0 for the dash of a range.
    const numbers = numbersOf(frames);
    const chunks = [];
    for (let start = 0; start < numbers.length; start += size) {
        chunks.push(numbers.slice(start, start + size).join(","));
    }
    return chunks;
}

// The frames of "1-10, 20..25, 40", in order, each once.
function numbersOf(frames) {
    const found = new Set();
    for (const part of String(frames || "").split(",")) {
        const match = /^\s*(-?\d+)\s*(?:(?:-|\.\.)\s*(-?\d+)\s*)?$/.exec(part);
        if (!match) {
            throw new Error("No frames: '" + part + "' is neither a number nor a range such as 1-48.");
        }
        const last = Number(match[2] === undefined ? match[1] : match[2]);
        if (last - Number(match[1]) >= MOST_FRAMES) {
            throw new Error("Too many frames: '" + part + "' has more than " + MOST_FRAMES + ".");
        }
        for (let number = Number(match[1]); number <= last; number++) {
            found.add(number);
        }
    }
    if (!found.size) {
        throw new Error("No frames: '" + frames + "' ends before it starts.");
    }
    return Array.from(found).sort((a, b) => a - b);
}
