import { readFileSync } from "node:fs";
import type { REPLServer } from "node:repl";
import type { ServiceBroker } from "moleculer";
import type { Program } from "../lib/process/lifecycle.ts";
import { commands, find, help, overview, parse, render } from "./repl/commands.ts";
import { explain, UnknownOptionError } from "./repl/errors.ts";
import { Operator, operatorBroker } from "./repl/operator.ts";

/** Whether this process can read from a terminal: a background process that does is suspended. */
export function canPrompt(): boolean {
	return Boolean(process.stdin.isTTY && process.stdout.isTTY) && isInForeground();
}

function isInForeground(): boolean {
	try {
		// After the name in parentheses: state, parent, process group, session, terminal, the
		// terminal's foreground group (proc(5)).
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
/**
 * moleculer-repl replaces the undocumented `eval` and `completer` of Node's REPL, and so do we,
 * only in this file. repl.test.ts fails if an upgrade changes them.
 */
type Prompt = Omit<REPLServer, "eval" | "completer"> & { eval: Evaluate; completer: Complete };

/**
 * Commands of moleculer-repl that ours replace. Options that ours lack are left to the original.
 */
const REPLACED = ["call", "nodes", "actions"];

/** The words of a line. Quotes group words; `--name="two words"` is one. */
const split = (line: string): string[] =>
	[...line.matchAll(/(--[^\s=]+=)?(?:"([^"]*)"|'([^']*)'|(\S+))/g)].map(
		([, option = "", double, single, plain]) => option + (double ?? single ?? plain),
	);

/**
 * Adds the project's commands to moleculer-repl. Its own `customCommands` cannot replace a command,
 * and cannot have two words of which the first is a command already, such as `events status`.
 */
function addCommands(
	prompt: Prompt,
	broker: ServiceBroker,
	operator: Operator,
	startLine: () => void,
): void {
	const { eval: evaluate, completer: complete } = prompt;

	async function run(words: readonly string[]): Promise<void> {
		const { asJson, run } = parse(words, "prompt");
		console.log(render(await run(broker, operator), asJson));
		const { actsAs } = operator;
		prompt.setPrompt(actsAs ? `mol (${actsAs}) $ ` : "mol $ ");
	}
	prompt.eval = (line, context, file, done) => {
		const words = split(line);
		const original = () => {
			startLine();
			evaluate.call(prompt, line, context, file, done);
		};
		const [command, ...topic] = words;
		if (command === "help" && topic.length === 0) {
			evaluate.call(prompt, line, context, file, (error) => {
				console.log(`\nCommands of the shop ("help COMMAND" shows examples):\n${overview()}`);
				done(error);
			});
			return;
		}
		const text = command === "help" ? help(topic) : undefined;
		if (text !== undefined) {
			console.log(text);
			done(null);
			return;
		}
		const name = find(words);
		if (!name) return original();
		run(words).then(
			() => done(null),
			(error) => {
				if (error instanceof UnknownOptionError && REPLACED.includes(name)) return original();
				console.log(explain(error));
				done(null);
			},
		);
	};
	prompt.completer = (line, done) => {
		const own = Object.keys(commands).filter((name) => name.startsWith(line));
		complete.call(prompt, line, (error, [found, part]) => {
			// moleculer-repl offers all commands where none matches.
			const others = own.length > 0 ? found.filter((name) => name.startsWith(line)) : found;
			done(error, [[...new Set([...own, ...others])].sort(), part]);
		});
	};
}

/** Opens moleculer's prompt. `exit`, Ctrl-D, and Ctrl-C on an empty line end the program. */
export function openPrompt(broker: ServiceBroker, program: Program): void {
	const logger = broker.getLogger("repl");
	const operator = new Operator(broker, (fields, message) => logger.info(message, fields));
	// Every way out of the prompt stops the broker and then the process. The program has more to
	// release than the broker.
	const wrapped = operatorBroker(broker, operator, { stop: () => program.stop(), explain });
	const prompt = broker.repl.call(wrapped.broker) as unknown as Prompt;
	addCommands(prompt, broker, operator, wrapped.startLine);
	prompt.removeAllListeners("SIGINT");
	prompt.on("SIGINT", () => {
		if (prompt.line === "") return prompt.close();
		prompt.write(null as never, { ctrl: true, name: "e" });
		prompt.write(null as never, { ctrl: true, name: "u" });
	});
}
