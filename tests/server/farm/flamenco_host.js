// SPDX-License-Identifier: GPL-3.0-or-later
// Stands in for Flamenco Manager 3, which compiles jobs with a job type's script: the globals and modules that it gives a
// script, and nothing else; values that its Go code does not take are refused as that refuses them.
//
//     node flamenco_host.js SCRIPT < SUBMITTED_JOB.json > {"job_type": …, "tasks": …}
//
// As documented on flamenco.blender.org/usage/job-types, and as in internal/manager/job_compilers of its source.
"use strict";

const fs = require("fs");
const posix = require("path").posix;
const vm = require("vm");

class Task {
    constructor(name, type) {
        this.name = text(name, "name").trim();
        this.type = text(type, "type").trim();
        if (!this.name || !this.type) {
            throw new TypeError("author.Task(name, type): name and type are required");
        }
        this.commands = [];
        this.dependencies = [];
    }
    addCommand(command) {
        this.commands.push(an(Command, command));
    }
    addDependency(task) {
        this.dependencies.push(an(Task, task));
    }
}

class Command {
    constructor(name, parameters, totalStepCount) {
        this.name = text(name, "name");
        if (parameters === null || typeof parameters !== "object") {
            throw new TypeError("a command's parameters are an object");
        }
        this.parameters = parameters;
        this.totalStepCount = totalStepCount === undefined ? 0 : whole(totalStepCount, "totalStepCount");
    }
}

function an(kind, value) {
    if (!(value instanceof kind)) {
        throw new TypeError("not made by author." + kind.name);
    }
    return value;
}

function text(value, name) {
    if (typeof value !== "string") {
        throw new TypeError(name + " is no string");
    }
    return value;
}

function whole(value, name) {
    if (!Number.isInteger(value)) {
        throw new TypeError(name + " is no whole number");
    }
    return value;
}

// A job as scripts see it. A task is copied when it is added: what is done to it later, the Manager does not see.
function authoredJob(submitted) {
    const tasks = [];
    return {
        jobID: "00000000-0000-4000-8000-000000000000",
        name: submitted.name,
        jobType: submitted.type,
        priority: submitted.priority || 50,
        created: new Date(0),
        settings: submitted.settings || {},
        metadata: submitted.metadata || {},
        tasks,
        addTask(task) {
            an(Task, task);
            tasks.push({
                name: task.name,
                type: task.type,
                commands: JSON.parse(JSON.stringify(task.commands)),
                dependencies: task.dependencies.map((other) => other.name),
            });
        },
    };
}

function exploded(range) {
    const frames = new Set();
    const number = (part) => {
        if (!/^[+-]?\d+$/.test(part.trim())) {
            throw new Error(`invalid range "${range}"`);
        }
        return parseInt(part.trim(), 10);
    };
    for (const part of range.split("..").join("-").split(",")) {
        const ends = part.split("-");
        if (ends.length > 2) {
            throw new Error(`invalid range "${range}"`);
        }
        for (let frame = number(ends[0]); frame <= number(ends[ends.length - 1]); frame++) {
            frames.add(frame);
        }
    }
    return Array.from(frames).sort((a, b) => a - b);
}

function merged(frames) {
    const runs = [];
    for (const frame of frames) {
        const run = runs[runs.length - 1];
        if (run && frame === run[run.length - 1] + 1) {
            run.push(frame);
        } else {
            runs.push([frame]);
        }
    }
    return runs.map((run) => (run.length > 2 ? `${run[0]}-${run[run.length - 1]}` : run.join(","))).join(",");
}

function frameChunker(range, size) {
    const frames = text(range, "frameRange").trim() ? exploded(range) : [];
    if (!frames.length) {
        throw new Error(`invalid range "${range}": empty range`);
    }
    if (whole(size, "chunkSize") < 1) {
        throw new Error("invalid chunk size, must be positive number");
    }
    const chunks = [];
    for (let start = 0; start < frames.length; start += size) {
        chunks.push(merged(frames.slice(start, start + size)));
    }
    return chunks;
}

function formatTimestampLocal(time) {
    const two = (number) => String(number).padStart(2, "0");
    return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
        + `_${two(time.getHours())}${two(time.getMinutes())}${two(time.getSeconds())}`;
}

// Go's `path`: it reads both kinds of slashes and writes forward ones.
const slashed = (value) => text(value, "path").split("\\").join("/");

const host = {
    print: () => {},
    alert: () => {},
    frameChunker,
    frameCount: (range) => exploded(range).length,
    formatTimestampLocal,
    shellSplit: (line) => line.split(/\s+/).filter(Boolean),
    author: {
        Task: (name, type) => new Task(name, type),
        Command: (name, parameters, steps) => new Command(name, parameters, steps),
    },
    path: {
        basename: (value) => posix.basename(slashed(value)),
        dirname: (value) => posix.dirname(slashed(value)),
        join: (...parts) => posix.join(...parts.map(slashed)),
        stem: (value) => posix.parse(slashed(value)).name,
    },
    process: { cwd: () => "/", platform: "linux" },
};

// A context of its own has the language's own names and these; no console, no require, no timers.
const context = vm.createContext(Object.assign(Object.create(null), host));
const source = fs.readFileSync(process.argv[2], "utf8");
// Flamenco compiles in strict mode, and looks the two names up in the global scope.
vm.runInContext(`"use strict";\n${source}\nthis.JOB_TYPE = JOB_TYPE; this.compileJob = compileJob;`, context, {
    filename: process.argv[2],
});
const job = authoredJob(JSON.parse(fs.readFileSync(0, "utf8")));
try {
    context.compileJob(job);
} catch (error) {
    process.stderr.write(`${error}\n`);
    process.exit(1);
}
process.stdout.write(JSON.stringify({ job_type: context.JOB_TYPE, tasks: job.tasks }));
