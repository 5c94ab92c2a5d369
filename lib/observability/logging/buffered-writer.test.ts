import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "@jest/globals";

const module = JSON.stringify(join(import.meta.dirname, "buffered-writer.ts"));
/** Runs a program that writes 3,000 lines and then executes the given code. */
function start(then: string) {
	const program = `
		import { bufferedWriter } from ${module};
		const { write, written } = bufferedWriter(1);
		for (let i = 0; i < 3000; i++) write(i + " äöü " + "x".repeat(i === 5 ? 200_000 : 50) + "\\n");
		${then}`;
	return spawn(
		process.execPath,
		["--no-warnings", "--input-type=module-typescript", "-e", program],
		{ stdio: ["ignore", "pipe", "pipe"] },
	);
}
async function linesOf(child: ReturnType<typeof start>): Promise<string[]> {
	let output = "";
	child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
	await once(child, "close");
	return output.trimEnd().split("\n");
}
const numbers = Array.from({ length: 3000 }, (_, i) => i);

test.each([
	["ends", "process.exit(3)"],
	["fails", "throw new Error('no')"],
	["rejects a promise without a handler", "Promise.reject(new Error('no'))"],
	[
		"awaits the writer first",
		"await new Promise(setImmediate); await written(); process.kill(process.pid, 'SIGKILL')",
	],
])("a process that %s writes every line, complete and in order", async (_, then) => {
	const lines = await linesOf(start(then));
	expect(lines.map((line) => Number(line.split(" ", 1)[0]))).toEqual(numbers);
	expect(lines.filter((line) => !/^\d+ äöü x+$/.test(line))).toEqual([]);
	expect(lines[5]).toHaveLength("5 äöü ".length + 200_000);
});

test("a few lines are written without a full buffer", async () => {
	const child = start("setInterval(() => undefined, 1000)");
	let output = "";
	await new Promise<void>((resolve) => {
		child.stdout.setEncoding("utf8").on("data", (text) => {
			output += text;
			if (output.includes("\n2999 ")) resolve();
		});
	});
	child.kill("SIGKILL");
	await once(child, "close");
});

test("a process continues when the reader of its output has closed", async () => {
	// The buffer is written every 200 ms, so two attempts fail before the end.
	const child = start(
		"setInterval(() => write('more\\n'), 5); " +
			"setTimeout(() => { process.stderr.write('still here'); process.exit(0); }, 600)",
	);
	child.stdout.destroy();
	let errors = "";
	child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
	const [code] = await once(child, "close");
	expect([code, errors]).toEqual([0, "still here"]);
});
