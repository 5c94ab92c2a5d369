import type { ServiceBroker } from "moleculer";
import type { Breaker } from "../../lib/resilience/circuit-breakers.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { type Command, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { eventCommands } from "./events.ts";
import type { Operator } from "./operator.ts";
import { orderCommands } from "./orders.ts";
import { columns, json, type Output, table } from "./output.ts";
import { paymentCommands } from "./payments.ts";
import { registryCommands } from "./registry.ts";

interface NodeBreaker {
	readonly node: string;
	readonly breaker?: Breaker;
	readonly error?: string;
}

/** Circuit breakers of one node, or the reason why it did not return them. */
async function breakersOf({ callAny }: Cluster, node: string): Promise<NodeBreaker[]> {
	try {
		const breakers = await callAny<Breaker[]>("$node.breakers", {}, { nodeID: node });
		return breakers.map((breaker) => ({ node, breaker }));
	} catch (error) {
		return [{ node, error: (error as Error).message }];
	}
}

/** The project's own commands, in the prompt and behind `npm run repl --`. */
export const commands: Readonly<Record<string, Command>> = {
	...registryCommands,
	...orderCommands,
	...paymentCommands,
	...eventCommands,
	"breaker ls": defineCommand({
		summary: "List the circuit breakers that are not closed, as each node sees them",
		examples: ["breaker ls"],
		async run(cluster) {
			const found = await Promise.all(cluster.nodes().map(({ id }) => breakersOf(cluster, id)));
			return table(
				found.flat(),
				["NODE", "ACTION", "ON", "STATE", "FAILURES"],
				({ node, breaker, error = "" }) =>
					breaker
						? [node, breaker.action, breaker.node, breaker.state, breaker.failures]
						: [node, "", "", error, ""],
				"All breakers are closed",
			);
		},
	}),
};

/** A command line that is ready to run. */
export interface ParsedCommand {
	readonly asJson: boolean;
	run(broker: ServiceBroker, operator: Operator): Promise<Output>;
}

const signature = (name: string, { usage }: Command): string =>
	[name, usage, name === "as" ? "" : "[--json]"].filter(Boolean).join(" ");

/** All commands, one line each. */
export const overview = (): string =>
	columns(Object.entries(commands).map(([name, { summary }]) => [name, summary]));

/** Help for all commands whose name begins with these words; undefined if there are none. */
export function help(words: readonly string[]): string | undefined {
	const prefix = words.join(" ");
	const texts = Object.entries(commands)
		.filter(([name]) => name === prefix || name.startsWith(`${prefix} `))
		.map(([name, command]) => {
			const examples = command.examples.map((example) => `  ${example}`);
			return [command.summary, "", `Usage: ${signature(name, command)}`, "Examples:", ...examples];
		});
	return texts.length > 0 ? texts.map((lines) => lines.join("\n")).join("\n\n") : undefined;
}

/** Name of the command that a line begins with; undefined if it is none of the project's. */
export function find(words: readonly string[]): string | undefined {
	const names = [words.slice(0, 2).join(" "), words[0] ?? ""];
	return names.find((name) => Object.hasOwn(commands, name));
}

/**
 * Parses a command line. Has no side effects.
 * @param mode `once` rejects commands that only change the state of a prompt
 * @throws UsageError naming the wrong argument
 */
export function parse(words: readonly string[], mode: "prompt" | "once"): ParsedCommand {
	const name = find(words);
	if (!name)
		throw new UsageError(
			`There is no command "${words.join(" ")}"; "npm run repl -- --help" lists the commands`,
		);
	const command = commands[name]!;
	if (command.promptOnly && mode === "once")
		throw new UsageError(`"${name}" works only in the prompt: npm run repl`);
	const args = words.slice(name.split(" ").length);
	const asJson = args.includes("--json");
	try {
		const { about, run } = command.parse(args.filter((word) => word !== "--json"));
		return { asJson, run: (broker, operator) => run(openCluster(broker, operator, name, about)) };
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		error.message += `; usage: ${signature(name, command)}`;
		throw error;
	}
}

/** The text that a command prints. */
export const render = ({ value, text }: Output, asJson: boolean): string =>
	asJson ? json(value) : text;
