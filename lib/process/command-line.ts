import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Program } from "./lifecycle.ts";
import { StartError } from "./start-error.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;
/** The values of parsed options. */
export type Values<O extends Options> = ReturnType<
	typeof parseArgs<{ options: O; strict: true; allowPositionals: true }>
>["values"];

/** A command's arguments. Every command also accepts `--help` and `-h`. */
export interface CommandLine<O extends Options, T extends object> {
	/** The words that a user types before the arguments, including the `--` of npm. */
	readonly command: string;
	/** The text of `--help`. */
	readonly usage: string;
	readonly options: O;
	/** The largest number of arguments that are not options; 0 by default. */
	readonly positionals?: number;
	/** Checks and converts the arguments. @throws Error with a message that names the wrong argument */
	convert(values: Values<O>, positionals: readonly string[]): T;
}

/**
 * Parses the arguments of a command. Returns undefined if they request help.
 * @throws StartError for an unknown option, a missing or wrong value, or too many arguments
 */
export function parseCommandLine<const O extends Options, T extends object>(
	{ command, options, positionals: limit = 0, convert }: CommandLine<O, T>,
	args: readonly string[] = process.argv.slice(2),
): T | undefined {
	if (requestsHelp(args)) return undefined;
	try {
		const { values, positionals } = parseArgs({
			args: [...args],
			options,
			strict: true,
			allowPositionals: true,
		});
		if (positionals.length > limit) throw new Error(`Unexpected argument "${positionals[limit]}"`);
		return convert(values, positionals);
	} catch (error) {
		// parseArgs appends a hint about positional arguments, which would hide the next step.
		const [problem] = (error as Error).message.split(/\. To specify|\n/);
		throw new StartError(`${problem}; "${command} --help" lists the arguments`);
	}
}

/** Parses the arguments before the command does anything. For `--help` it prints the usage text, and the program ends with code 0. */
export async function readCommandLine<const O extends Options, T extends object>(
	program: Program,
	commandLine: CommandLine<O, T>,
): Promise<T> {
	return parseCommandLine(commandLine) ?? printUsage(program, commandLine.usage);
}

/** Prints a usage text and ends the program with code 0. */
export function printUsage(program: Program, usage: string): Promise<never> {
	console.log(usage);
	return program.stop();
}

/** For commands that accept no arguments. */
export const noArguments = (command: string, about: string) => ({
	command,
	usage: `${command.replace(/ --$/, "")}\n  ${about}`,
	options: {},
	convert: () => ({}),
});

/** Whether `--help` or `-h` is among the options. */
export function requestsHelp(args: readonly string[]): boolean {
	const end = args.indexOf("--");
	return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === "--help" || arg === "-h");
}

/** @throws Error naming the option if the text is no whole number of at least `min` */
export function wholeNumber(option: string, text: string, min: number): number {
	const number = Number(text);
	if (!Number.isInteger(number) || number < min)
		throw new Error(`--${option} must be a whole number of at least ${min}, not "${text}"`);
	return number;
}
