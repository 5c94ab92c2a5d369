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

test("every npm script in a workflow exists", () => {
	const used = commands.flatMap(({ file, run }) =>
		[...run.matchAll(/\bnpm run (?:--\S+ )*([\w:-]+)/g)].map(([, script]) => ({
			file,
			script: script!,
		})),
	);
	expect(used.length).toBeGreaterThan(2);
	expect(used.filter(({ script }) => !(script in scripts))).toEqual([]);
});

test("every program in .ci/ that a workflow runs is executable", () => {
	const used = commands.flatMap(({ run }) =>
		[...run.matchAll(/(?<![\w/])\.ci\/\w+/g)].map(([file]) => file),
	);
	expect(used).toContain(".ci/run");
	for (const file of used) accessSync(join(root, file), constants.X_OK);
});

test("workflows have read-only permissions, timeouts and actions of exact versions", () => {
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

test("commands contain no expression, which could inject text of third parties", () => {
	expect(commands.filter(({ file, run }) => file !== ".ci/run" && run.includes("${{"))).toEqual([]);
});

test("npm run check runs the checks of .ci/run", () => {
	const run = text(".ci/run");
	for (const script of ["lint", "types", "unused"]) {
		expect(scripts.check).toContain(`npm run ${script}`);
		expect(run).toContain(`npm run ${script}`);
	}
	for (const command of ["npm test", "npm run chaos -- --self-test"]) {
		expect(scripts.check!.split(" && ")).toContain(command);
		expect(run).toContain(`\nstep ${command}\n`);
	}
});
