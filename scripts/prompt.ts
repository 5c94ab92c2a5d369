import { readFileSync } from "node:fs";
import type { REPLServer } from "node:repl";
import type { ServiceBroker } from "moleculer";
import type { Program } from "../lib/program.ts";

/** Whether somebody can type at us: a terminal, and we are not in its background, where asking for input would halt us. */
export function canPrompt(): boolean {
	return Boolean(process.stdin.isTTY && process.stdout.isTTY) && isInForeground();
}

function isInForeground(): boolean {
	try {
		// After the name in brackets: state, parent, process group, session, terminal, the terminal's foreground group (proc(5)).
		const [, , group, , , foreground] = readFileSync("/proc/self/stat", "utf8")
			.replace(/^.*\) /s, "")
			.split(" ");
		return group === foreground;
	} catch {
		return true;
	}
}

/** Opens moleculer's prompt. `exit`, Ctrl-D, and Ctrl-C on an empty line end the program. */
export function openPrompt(broker: ServiceBroker, program: Program): void {
	// Whatever leaves the prompt stops the broker and then the process, and would leave the rest behind.
	broker.stop = () => program.stop();
	const prompt = broker.repl() as unknown as REPLServer;
	prompt.removeAllListeners("SIGINT");
	prompt.on("SIGINT", () => {
		if (prompt.line === "") return prompt.close();
		prompt.write(null, { ctrl: true, name: "e" });
		prompt.write(null, { ctrl: true, name: "u" });
	});
}
