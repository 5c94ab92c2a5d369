import { readFileSync } from "node:fs";
import type { REPLServer } from "node:repl";
import type { ServiceBroker } from "moleculer";
import type { Program } from "../lib/process/lifecycle.ts";
import { commands, execute, explain, find, overview } from "./repl/commands.ts";

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

type Evaluate = (
	line: string,
	context: object,
	file: string,
	done: (error: Error | null) => void,
) => unknown;
type Complete = (
	line: string,
	done: (error: Error | null, result: [string[], string]) => void,
) => unknown;

/** Adds the project's own commands. moleculer has a place for them, but no room for one that begins like one of its own, such as `events`. */
function addCommands(
	broker: ServiceBroker,
	prompt: { eval: Evaluate; completer: Complete; context: object },
): void {
	const { eval: evaluate, completer: complete } = prompt;
	prompt.eval = (line, context, file, done) => {
		const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
			([, a, b, c]) => a ?? b ?? c!,
		);
		if (find(words)) {
			execute(broker, words)
				.then(console.log, (error) => console.log(explain(error)))
				.finally(() => done(null));
			return;
		}
		const help = words.length === 1 && words[0] === "help";
		evaluate.call(prompt, line, context, file, (error) => {
			if (help) console.log(`\nThe shop's own commands:\n${overview()}`);
			done(error);
		});
	};
	prompt.completer = (line, done) => {
		const ours = Object.keys(commands).filter((name) => name.startsWith(line));
		if (line && ours.length > 0) done(null, [ours, line]);
		else complete.call(prompt, line, done);
	};
}

/** Opens moleculer's prompt. `exit`, Ctrl-D, and Ctrl-C on an empty line end the program. */
export function openPrompt(broker: ServiceBroker, program: Program): void {
	// Whatever leaves the prompt stops the broker and then the process, and would leave the rest behind.
	broker.stop = () => program.stop();
	const prompt = broker.repl() as unknown as REPLServer;
	addCommands(broker, prompt as never);
	prompt.removeAllListeners("SIGINT");
	prompt.on("SIGINT", () => {
		if (prompt.line === "") return prompt.close();
		prompt.write(null, { ctrl: true, name: "e" });
		prompt.write(null, { ctrl: true, name: "u" });
	});
}
