import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Program } from "./lifecycle.ts";
import { StartError } from "./start-error.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;
/** Values of parsed options. */
export type Values<O extends Options> = ReturnType<
	typeof parseArgs<{ options: O; strict: true; allowPositionals: true }>
>["values"];

/** A command's arguments. Every command also accepts `--help` and `-h`. */
interface CommandLine<O extends Options, T extends object> {
	/** Words that precede the arguments on the command line, including the `--` of npm. */
	readonly command: string;
	/** Output of `--help`. */
	readonly usage: string;
	readonly options: O;
	/** Maximum number of arguments that are not options; 0 by default. */
	readonly positionals?: number;
	/** Validates and converts the arguments. @throws Error with a message that names the argument */
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

/** Parses the arguments of a command. For `--help`, prints the usage text and ends with code 0. */
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

/** Command line of a command without arguments. */
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

/** Parses a whole number. @throws Error that names the option if the number is below `min` */
export function wholeNumber(option: string, text: string, min: number): number {
	const number = Number(text);
	if (!Number.isInteger(number) || number < min)
		throw new Error(`--${option} must be a whole number of at least ${min}, not "${text}"`);
	return number;
}
