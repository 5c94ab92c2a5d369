import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach, expect, test } from "@jest/globals";

const running = new Set<ChildProcess>();
afterEach(() => {
	for (const child of running) child.kill("SIGKILL");
});

/** Runs `body` as the main function of a program, whose output waits for a reader. */
function run(body: string, options = {}) {
	const imports = `import { runProgram } from "${new URL("lifecycle.ts", import.meta.url)}";
		import { StartError } from "${new URL("start-error.ts", import.meta.url)}";`;
	const source = `${imports} runProgram("shop", async (program) => { ${body} },
		${JSON.stringify(options)});`;
	const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	running.add(child);
	return child;
}

/** Runs `body` as the main function of a program; `lines` is its complete output. */
function start(body: string, options = {}) {
	const child = run(body, options);
	const lines: string[] = [];
	const waiting = new Map<string, () => void>();
	for (const stream of [child.stdout, child.stderr])
		createInterface(stream).on("line", (line) => {
			lines.push(line);
			waiting.get(line)?.();
		});
	const ended = once(child, "close").then(([code, signal]) => ({ code, signal, lines }));
	return {
		child,
		ended,
		/** Resolves when a line is printed, or the program has ended. */
		printed: (line: string) =>
			Promise.race([new Promise<void>((resolve) => waiting.set(line, resolve)), ended]),
	};
}

test("runProgram releases resources in reverse order and exits with code 0", async () => {
	const program = start(
		`program.onEnd(1000, async () => console.log("database"));
		program.onEnd(1000, async () => console.log("services"));
		console.log("ready");`,
		{ untilSignal: true },
	);
	await program.printed("ready");
	program.child.kill("SIGTERM");
	expect(await program.ended).toEqual({
		code: 0,
		signal: null,
		lines: ["ready", "services", "database"],
	});
});

test("runProgram releases all resources even if one release fails or hangs", async () => {
	const program = start(`
		program.onEnd(1000, () => console.log("database"));
		program.onEnd(1000, () => { throw new StartError("cannot release"); });
		program.onEnd(50, () => new Promise(() => {}));
		await program.stop();
	`);
	expect(await program.ended).toEqual({
		code: 0,
		signal: null,
		lines: ["shop: cannot release", "database"],
	});
});

test("runProgram prints a StartError as one line", async () => {
	const { ended } = start(`
		program.onEnd(1000, () => console.log("released"));
		throw new StartError("this is wrong:\\n  do that");
	`);
	const { code, lines } = await ended;
	expect({ code, lines: lines.sort() }).toEqual({
		code: 1,
		lines: ["released", "shop: this is wrong: do that"],
	});
});

test("runProgram prints warnings, or sends them to a log with all errors", async () => {
	const { ended } = start(`
		program.warn("please wait");
		program.reportTo({
			warn: (message) => console.log("warn " + message),
			fatal: (message, data) => console.log("fatal " + message, data?.error.message),
		});
		program.warn("still waiting");
		program.onEnd(1000, () => { throw new Error("oops"); });
		throw new StartError("this is wrong");
	`);
	const { code, lines } = await ended;
	expect({ code, lines: lines.sort() }).toEqual({
		code: 1,
		lines: [
			"fatal Unexpected failure; the process ends oops",
			"fatal this is wrong undefined",
			"please wait",
			"warn still waiting",
		],
	});
});

test.each([
	"throw new Error('oops')",
	"Promise.reject(new Error('oops')); await new Promise(() => {})",
	"setImmediate(() => { throw new Error('oops') }); await new Promise(() => {})",
])("runProgram prints an unexpected error with its stack: %s", async (body) => {
	const { ended } = start(`program.onEnd(1000, () => console.log("released")); ${body}`);
	const { code, lines } = await ended;
	expect(code).toBe(1);
	expect(lines).toContain("released");
	expect(lines).toContain("shop failed unexpectedly: Error: oops");
	expect(lines.some((line) => line.trim().startsWith("at "))).toBe(true);
});

test("step fails with its own message when it exceeds its limit", async () => {
	const { ended } = start(
		`await program.step(new Promise(() => {}), { ms: 50, late: "it took too long" });`,
	);
	expect(await ended).toEqual({ code: 1, signal: null, lines: ["shop: it took too long"] });
});

test.each([
	["SIGINT", 130],
	["SIGTERM", 143],
	["SIGHUP", 129],
] as const)("%s interrupts a command, which exits with code %i", async (signal, code) => {
	const program = start('console.log("working")');
	await program.printed("working");
	program.child.kill(signal);
	expect(await program.ended).toEqual({ code, signal: null, lines: ["working"] });
});

test("a signal during the start hides later failures", async () => {
	const program = start(`
		let broken;
		program.onEnd(1000, () => {
			broken(new Error("connection lost"));
			return new Promise((resolve) => setImmediate(resolve));
		});
		console.log("starting");
		await program.step(new Promise((_, reject) => { broken = reject; }));
	`);
	await program.printed("starting");
	program.child.kill("SIGTERM");
	expect(await program.ended).toEqual({ code: 143, signal: null, lines: ["starting"] });
});

test("Ctrl-C delivered twice counts once; pressing it again forces the exit", async () => {
	const program = start(`
		program.onEnd(20_000, () => {
			// From here, because on a busy machine a signal of another process arrives too late.
			process.kill(process.pid, "SIGINT");
			console.log("stopping");
			// Later than the repetition of a Ctrl-C can arrive.
			setTimeout(() => console.log("still stopping"), 600);
			return new Promise(() => {});
		});
		console.log("ready");
	`);
	await program.printed("ready");
	program.child.kill("SIGINT");
	await program.printed("still stopping");
	program.child.kill("SIGINT");
	expect(await program.ended).toEqual({
		code: 1,
		signal: null,
		lines: ["ready", "stopping", "still stopping"],
	});
});

test("runProgram exits only after its output has been read", async () => {
	const child = run(`
		program.onEnd(1000, () => console.error("ending"));
		console.log("x".repeat(1_000_000));
		await program.stop();
	`);
	await once(child.stderr, "data");
	let bytes = 0;
	child.stdout.on("data", (chunk: Buffer) => {
		bytes += chunk.length;
	});
	expect(await once(child, "close")).toEqual([0, null]);
	expect(bytes).toBe(1_000_001);
});

test("a signal or a failure ends a program whose output is never read", async () => {
	const print = 'console.log("x".repeat(1_000_000)); console.error("printed");';
	const waiting = run(`${print} await program.stop();`);
	await once(waiting.stderr, "data");
	waiting.kill("SIGTERM");
	expect(await once(waiting, "exit")).toEqual([0, null]);
	expect(await once(run(`${print} throw new StartError("this is wrong")`), "exit")).toEqual([
		1,
		null,
	]);
});
