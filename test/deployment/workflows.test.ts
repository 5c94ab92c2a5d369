import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { parse } from "yaml";
import { root } from "../support/databases.ts";

interface Step {
	readonly uses?: string;
	readonly run?: string;
}
interface Job {
	readonly "timeout-minutes"?: number;
	readonly permissions?: unknown;
	readonly steps: readonly Step[];
}
interface Workflow {
	readonly permissions?: Readonly<Record<string, string>>;
	readonly jobs: Readonly<Record<string, Job>>;
}

const text = (file: string) => readFileSync(join(root, file), "utf8");
const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
const folder = ".github/workflows";
const workflows = readdirSync(join(root, folder)).map((file) => ({
	file,
	workflow: parse(text(`${folder}/${file}`)) as Workflow,
}));
const steps = workflows.flatMap(({ file, workflow }) =>
	Object.values(workflow.jobs).flatMap((job) => job.steps.map((step) => ({ file, ...step }))),
);
const commands = [
	...steps.flatMap(({ file, run }) => (run ? [{ file, run }] : [])),
	{ file: ".ci/run", run: text(".ci/run") },
];

test("each npm script that a workflow runs is there", () => {
	const wanted = commands.flatMap(({ file, run }) =>
		[...run.matchAll(/\bnpm run (?:--\S+ )*([\w:-]+)/g)].map(([, script]) => ({
			file,
			script: script!,
		})),
	);
	expect(wanted.length).toBeGreaterThan(2);
	expect(wanted.filter(({ script }) => !(script in scripts))).toEqual([]);
});

test("each program of ours that a workflow runs can be run", () => {
	const wanted = commands.flatMap(({ run }) =>
		[...run.matchAll(/(?<![\w/])\.ci\/\w+/g)].map(([file]) => file),
	);
	expect(wanted).toContain(".ci/run");
	for (const file of wanted) accessSync(join(root, file), constants.X_OK);
});

test("a workflow may read the sources and no more, ends in time, and runs actions of one exact version", () => {
	for (const { workflow } of workflows) {
		expect(workflow.permissions).toEqual({ contents: "read" });
		for (const job of Object.values(workflow.jobs)) {
			expect(job.permissions).toBeUndefined();
			expect(job["timeout-minutes"]).toEqual(expect.any(Number));
		}
	}
	const loose = steps.flatMap(({ uses }) =>
		uses && !/^[\w.-]+\/[\w.-]+@v\d+\.\d+\.\d+$/.test(uses) ? [uses] : [],
	);
	expect(loose).toEqual([]);
});

test("nothing that somebody else may have written becomes part of a command", () => {
	expect(commands.filter(({ file, run }) => file !== ".ci/run" && run.includes("${{"))).toEqual([]);
});

test("npm run check does what .ci/run does", () => {
	const run = text(".ci/run");
	for (const script of ["lint", "types"]) {
		expect(scripts.check).toContain(`npm run ${script}`);
		expect(run).toContain(`npm run ${script}`);
	}
	expect(scripts.check).toMatch(/npm test$/);
	expect(run).toMatch(/^step npm test$/m);
});
