import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import { findProcess } from "../../lib/process/process-lock.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./processes.ts";

let child: ChildProcess | undefined;
afterEach(() => void child?.kill("SIGKILL"));

/** Program that starts two processes, kills the first, and prints both pids. */
const program = `
	const { startProcess } = await import(${JSON.stringify(import.meta.resolve("./processes.ts"))});
	const [first, second] = ["first", "second"].map((name) =>
		startProcess({ name, file: "sleep", args: ["1000"], log: "/dev/null" }));
	await first.kill();
	console.log(first.pid, second.pid);
	setInterval(() => undefined, 1000);`;

test.each(["SIGKILL", "SIGINT"] as const)(
	"child processes end when the test run ends by %s",
	async (signal) => {
		child = spawn(process.execPath, ["--input-type=module", "-e", program], {
			stdio: ["ignore", "pipe", "inherit"],
		});
		const [line] = await once(child.stdout!, "data");
		const [first, second] = String(line).split(" ").map(Number);
		expect(await findProcess(first!)).toBeUndefined();
		expect(await findProcess(second!)).toBeDefined();
		child.kill(signal);
		await eventually(async () => expect(await findProcess(second!)).toBeUndefined());
	},
);

test("a free port can be opened, and is never assigned to an outgoing connection", async () => {
	const ports = await Promise.all(Array.from({ length: 50 }, freePort));
	expect(Math.max(...ports)).toBeLessThan(32_768);
	const server = createServer().listen(ports[0], "127.0.0.1");
	await once(server, "listening");
	expect(server.listening).toBe(true);
	server.close();
	await once(server, "close");
});
