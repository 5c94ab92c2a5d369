import { parseArgs } from "node:util";
import type { Cluster } from "./cluster.ts";
import { UnknownOptionError, UsageError } from "./errors.ts";
import type { Output } from "./output.ts";

/** A parsed command line. */
interface Invocation {
	/** Fields of the log line in addition to the command's name. */
	readonly about?: object;
	run(cluster: Cluster): Promise<Output>;
}

/** A command of the project, in the prompt and behind `npm run repl --`. */
export interface Command {
	readonly summary: string;
	/** Arguments and options after the command's name. */
	readonly usage: string;
	readonly examples: readonly string[];
	/** Changes the state of a prompt, so it has no effect in one-shot mode. */
	readonly promptOnly?: boolean;
	/**
	 * Parses the words after the command's name. Has no side effects.
	 * @throws UsageError naming the wrong argument
	 */
	parse(words: readonly string[]): Invocation;
}

interface Definition {
	readonly summary: string;
	/** Names of positional arguments; `[ID]` is optional. */
	readonly arguments?: readonly string[];
	/** Names of options with a value. */
	readonly options?: readonly string[];
	readonly examples: readonly string[];
	readonly promptOnly?: boolean;
	run(
		cluster: Cluster,
		options: Readonly<Record<string, string>>,
		words: readonly string[],
	): Promise<Output>;
}

/** A command with declared arguments and options. */
export function defineCommand(definition: Definition): Command {
	const { arguments: names = [], options = [], run, ...rest } = definition;
	const required = names.filter((name) => !name.startsWith("[")).length;
	return {
		...rest,
		usage: [...names, ...options.map((option) => `[--${option} …]`)].join(" "),
		parse(words) {
			const { values, positionals } = parseWords(words, options);
			if (positionals.length < required)
				throw new UsageError(`${names[positionals.length]} is missing`);
			if (positionals.length > names.length)
				throw new UsageError(`Unexpected argument "${positionals[names.length]}"`);
			return { run: (cluster) => run(cluster, values, positionals) };
		},
	};
}

function parseWords(words: readonly string[], options: readonly string[]) {
	const known = Object.fromEntries(options.map((option) => [option, { type: "string" } as const]));
	try {
		const { values, positionals } = parseArgs({
			args: [...words],
			options: known,
			allowPositionals: true,
		});
		return { values: values as Record<string, string>, positionals };
	} catch (error) {
		// parseArgs appends a hint about positional arguments.
		const [problem] = (error as Error).message.split(/\. To specify|\n/);
		const isUnknown = (error as { code?: string }).code === "ERR_PARSE_ARGS_UNKNOWN_OPTION";
		throw new (isUnknown ? UnknownOptionError : UsageError)(problem!);
	}
}
