import { inspect } from "node:util";
import type { CallingOptions } from "moleculer";
import { type Command, defineCommand } from "./command.ts";
import { UnknownOptionError, UsageError } from "./errors.ts";
import { table } from "./output.ts";

/** Options of moleculer-repl's `call`, which handles them in the prompt. */
const MOLECULER_OPTIONS = ["load", "loadFull", "save", "stream", "$local"];

interface CallArguments {
	readonly params: Record<string, unknown>;
	readonly meta: Record<string, unknown>;
	readonly options: Record<string, unknown>;
}

/** Commands about nodes and actions. They replace those of moleculer-repl with the same name. */
export const registryCommands: Readonly<Record<string, Command>> = {
	call: {
		summary: "Call an action and print its result",
		usage: "ACTION [PARAMS] [META] [--NAME VALUE …] [--#META VALUE …] [--$OPTION VALUE …]",
		examples: [
			`call orders.list '{"limit":5}'`,
			"call orders.list --limit 5 --status confirmed",
			"call $node.health --$nodeID orders-web1-mf0k3c9a",
		],
		parse(words) {
			const { action, ...args } = parseCall(words);
			return {
				about: { action },
				async run({ callAny }) {
					const { params, meta, options } = args;
					const value = await callAny(action, params, { ...options, meta } as CallingOptions);
					const colors = process.stdout.isTTY;
					const text = value === undefined ? "No result" : inspect(value, { depth: null, colors });
					return { value, text };
				},
			};
		},
	},
	nodes: defineCommand({
		summary: "List the nodes and the services that each of them runs",
		options: ["filter"],
		examples: ["nodes", "nodes --filter orders"],
		async run(cluster, { filter }) {
			const nodes = cluster.nodes().filter(({ id }) => matches(id, filter));
			return table(
				nodes,
				["NODE", "SERVICES", "HOST", "ADDRESS"],
				({ id, services, hostname, addresses: [address = ""] }) => [
					id,
					services.join(", ") || "-",
					hostname,
					address,
				],
				"No matching nodes",
			);
		},
	}),
	actions: defineCommand({
		summary: "List the actions, with their access rules and parameters",
		options: ["filter"],
		examples: ["actions --filter orders", "actions --filter 'orders.*Letters'"],
		async run(cluster, { filter }) {
			const actions = cluster.actions().filter(({ name }) => matches(name, filter));
			return table(
				actions,
				["ACTION", "NODES", "ACCESS", "PARAMETERS"],
				({ name, nodes, access, params }) => [name, nodes, access || "-", params.join(", ")],
				"No matching actions",
			);
		},
	}),
	as: defineCommand({
		summary: "Act as the user with this e-mail address, or as an administrator again",
		arguments: ["[EMAIL]"],
		examples: ["as customer@example.com", "as"],
		promptOnly: true,
		async run(cluster, _options, [email]) {
			await cluster.actAs(email);
			return { value: null, text: `Calls now run as ${email ?? "an administrator"}` };
		},
	}),
};

/** A filter matches the beginning of a name; `*` stands for any characters. */
function matches(name: string, filter = ""): boolean {
	const parts = filter.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
	return new RegExp(`^${parts.join(".*")}`).test(name);
}

function parseCall(words: readonly string[]): CallArguments & { action: string } {
	const named: CallArguments = { params: {}, meta: {}, options: {} };
	const positionals: string[] = [];
	for (let i = 0; i < words.length; i++) {
		const word = words[i]!;
		if (!word.startsWith("--")) {
			positionals.push(word);
			continue;
		}
		const [, name = "", inline] = /^--([^=]*)(?:=(.*))?$/s.exec(word)!;
		if (name === "" || MOLECULER_OPTIONS.includes(name))
			throw new UnknownOptionError(`Unknown option ${word}`);
		const hasValue =
			inline === undefined && i + 1 < words.length && !words[i + 1]!.startsWith("--");
		const text = inline ?? (hasValue ? words[++i]! : "true");
		const [group, key] = groupOf(named, name);
		group[key] = literal(text);
	}
	const [action, params, meta, unexpected] = positionals;
	if (!action) throw new UsageError("ACTION is missing");
	if (unexpected !== undefined) throw new UsageError(`Unexpected argument "${unexpected}"`);
	return {
		action,
		params: { ...object("PARAMS", params), ...named.params },
		meta: { ...object("META", meta), ...named.meta },
		options: named.options,
	};
}

/** As in moleculer-repl: `#` begins a meta field, `$` a call option, and `@` is ignored. */
function groupOf(
	{ params, meta, options }: CallArguments,
	name: string,
): [Record<string, unknown>, string] {
	if (name.startsWith("#")) return [meta, name.slice(1)];
	if (name.startsWith("$")) return [options, name.slice(1)];
	return [params, name.replace(/^@/, "")];
}

/** The JSON value of a text, or the text itself. */
function literal(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

function object(name: string, text = "{}"): Record<string, unknown> {
	const value = literal(text);
	if (typeof value !== "object" || value === null || Array.isArray(value))
		throw new UsageError(`${name} must be a JSON object, not ${text}`);
	return value as Record<string, unknown>;
}
