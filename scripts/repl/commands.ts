import { parseArgs } from "node:util";
import type { ServiceBroker } from "moleculer";
import type { Breaker } from "../../lib/resilience/circuit-breakers.ts";
import { walkAudit } from "../audit/walk.ts";
import { type Cluster, clusterOf, columns } from "./cluster.ts";
import { eventCommands } from "./events.ts";

export interface Command {
	readonly about: string;
	/** What must be said besides the command, `[ID]` for what may be. */
	readonly words?: readonly string[];
	/** Names of options that take a text. */
	readonly options?: readonly string[];
	/** Answers what is shown. */
	run(
		cluster: Cluster,
		options: Readonly<Record<string, string>>,
		words: readonly string[],
	): Promise<string>;
}

/** The project's own commands, in the prompt and behind `npm run repl --`. */
export const commands: Readonly<Record<string, Command>> = {
	...eventCommands,
	"breaker ls": {
		about: "Circuit breakers that are not closed, as each node sees them",
		async run(cluster) {
			const nodes = await Promise.all(
				cluster.nodes().map(async (node) => {
					const found = await cluster
						.ask<Breaker[]>("$node.breakers", {}, node)
						.catch((error: Error) => error);
					if (found instanceof Error) return [[node, "", "", found.message, ""]];
					return found.map(({ action, node: other, state, failures }) => [
						node,
						action,
						other,
						state,
						failures,
					]);
				}),
			);
			const rows = nodes.flat();
			return rows.length === 0
				? "All breakers are closed"
				: columns([["NODE", "ACTION", "ON", "STATE", "FAILURES"], ...rows]);
		},
	},
	"saga ls": {
		about: "Orders that could not be taken back",
		async run({ call }) {
			const { count, rows } = await call("orders.stuck", { limit: 100 });
			if (count === 0) return "No order is stuck";
			const lines = rows.map(({ id, status, created_at, reason }) => [
				id,
				status,
				created_at,
				reason ?? "",
			]);
			const more = count > rows.length ? `\n… and ${count - rows.length} more` : "";
			return columns([["ORDER", "STATUS", "PLACED", "REASON"], ...lines]) + more;
		},
	},
	"saga retry": {
		about: "Have a stuck order taken back once more",
		words: ["ID"],
		async run({ call }, _options, [id]) {
			const order = await call("orders.retry", { id: id! });
			return `${order.id} is ${order.status} and is worked on`;
		},
	},
	"stock audit": {
		about: "Compare what all services know of stock, money and orders",
		options: ["since"],
		async run({ call }, { since }) {
			const { checked, skipped, stuck, violations } = await walkAudit(call, since ? { since } : {});
			const found = violations.map(({ invariant, subject, detail }) => [
				invariant,
				subject,
				detail,
			]);
			const wrong = found.length === 0 ? "nothing is wrong" : `${found.length} violations`;
			return `${columns(found)}${found.length > 0 ? "\n" : ""}${checked} orders checked, ${skipped} under way, ${stuck} stuck: ${wrong}`;
		},
	},
	"orders trace": {
		about: "What happened to an order, step by step",
		words: ["ID"],
		async run({ call }, _options, [id]) {
			// Behind the gateway's back there is no caller, and an order shows its timeline to its owner and to admins only.
			const user = {
				id: "00000000-0000-0000-0000-000000000000",
				email: "operator@localhost",
				role: "admin",
			} as const;
			const { status, attempts, entries, incomplete } = await call(
				"orders.timeline",
				{ id: id! },
				{ meta: { user } },
			);
			const rows = entries.map(({ time, source, kind, name, detail }) => [
				time,
				source,
				kind,
				name,
				detail ? JSON.stringify(detail) : "",
			]);
			const missing =
				incomplete.length > 0 ? `\nNot there to be asked: ${incomplete.join(", ")}` : "";
			return `${id} is ${status}, worked on ${attempts} times\n${columns(rows)}${missing}`;
		},
	},
};

/** How one writes a command. */
const usage = (name: string, { words = [], options = [] }: Command): string =>
	[name, ...words, ...options.map((option) => `[--${option} …]`)].join(" ");
/** All commands, a line each. */
export const overview = (): string =>
	columns(Object.entries(commands).map(([name, command]) => [usage(name, command), command.about]));

/** The command that a line begins with, if it is one of ours. */
export function find(words: readonly string[]): string | undefined {
	const name = words.slice(0, 2).join(" ");
	return Object.hasOwn(commands, name) ? name : undefined;
}

/**
 * Parses a command and its arguments, and changes nothing.
 * @returns runs the command; its result is the text to print
 * @throws Error naming the wrong argument
 */
export function parse(words: readonly string[]): (broker: ServiceBroker) => Promise<string> {
	const name = find(words);
	if (!name)
		throw new Error(
			`There is no command "${words.join(" ")}"; "npm run repl -- --help" lists the commands`,
		);
	const command = commands[name]!;
	const { words: wanted = [], options = [] } = command;
	const parsed = () => {
		const known = Object.fromEntries(
			options.map((option) => [option, { type: "string" } as const]),
		);
		const { values, positionals } = parseArgs({
			args: words.slice(2),
			options: known,
			allowPositionals: true,
		});
		const least = wanted.filter((word) => !word.startsWith("[")).length;
		if (positionals.length < least || positionals.length > wanted.length)
			throw new Error("Too few or too many arguments");
		return { values: values as Record<string, string>, positionals };
	};
	try {
		const { values, positionals } = parsed();
		return (broker) => command.run(clusterOf(broker), values, positionals);
	} catch (error) {
		const [problem] = (error as Error).message.split(/\. To specify|\n/);
		throw new Error(`${problem}; usage: ${usage(name, command)}`);
	}
}

/**
 * Parses and runs a command.
 * @returns the text to print
 * @throws Error naming the wrong argument, or the error of the cluster
 */
export const execute = async (broker: ServiceBroker, words: readonly string[]): Promise<string> =>
	parse(words)(broker);

/** What is worth telling of a failure: a refused call names the fields. */
export function explain(error: unknown): string {
	const { message, data } = error as Error & {
		data?: { errors?: { message?: string }[] } | { message?: string }[];
	};
	const errors = Array.isArray(data) ? data : (data?.errors ?? []);
	return [message, ...errors.flatMap((one) => one.message ?? [])].join("\n");
}
