import { stripVTControlCharacters } from "node:util";
import moleculer from "moleculer";
import { type DestinationStream, destination as openDestination, pino } from "pino";
import { currentLogFields } from "../../context/call-context.ts";
import type { Env } from "../../settings/env.ts";
import { bufferedWriter } from "./buffered-writer.ts";
import { formatForTerminal } from "./pretty.ts";
import { redact, redactText } from "./redact.ts";

export type Level = NonNullable<Env["LOGLEVEL"]>;
type LogSettings = Pick<Env, "NODE_ENV" | "LOGLEVEL" | "LOG_FORMAT" | "SERVICES">;

/** What moleculer tells of whom it makes a logger for. */
interface Bindings {
	readonly mod?: string;
	/** A service's name. */
	readonly svc?: string;
}
interface Factory {
	readonly broker: object;
}
const { Base } = moleculer.Loggers as unknown as {
	Base: new (options: object) => { init(factory: Factory): void };
};

let stdout: ReturnType<typeof bufferedWriter> | undefined;
const toStdout = (): DestinationStream => {
	stdout ??= bufferedWriter(1);
	return stdout;
};
const toTerminal = (): DestinationStream => {
	const terminal = openDestination({ dest: 1, sync: true });
	return { write: (json) => void terminal.write(formatForTerminal(json, process.stdout.isTTY)) };
};

let lastMs = 0;
let lastText = "";
/** The time as RFC 3339 text; many lines are written within a millisecond. */
export function timestamp(): string {
	const now = Date.now();
	if (now !== lastMs) {
		lastMs = now;
		lastText = new Date(now).toISOString();
	}
	return lastText;
}

/**
 * The log of a process, as moleculer's logger: lines of JSON in production, for the eye elsewhere. Whatever is logged passes the redaction,
 * and a line that is written while a call is worked on says for which request, user and trace.
 */
export class Log extends Base {
	readonly level: Level;
	/** What this process runs, where a line does not come from one service. */
	readonly service: string;
	readonly #pino: pino.Logger;
	readonly #destination: DestinationStream;

	constructor(
		{ NODE_ENV, LOGLEVEL = "info", LOG_FORMAT, SERVICES }: LogSettings,
		destination?: DestinationStream,
	) {
		super({ level: LOGLEVEL });
		this.level = LOGLEVEL;
		this.service = SERVICES || "shop";
		const format = LOG_FORMAT ?? (NODE_ENV === "production" ? "json" : "pretty");
		this.#destination = destination ?? (format === "json" ? toStdout() : toTerminal());
		const shape = {
			level: LOGLEVEL,
			base: null,
			messageKey: "message",
			timestamp: () => `,"timestamp":"${timestamp()}"`,
			formatters: { level: (level: string) => ({ level }) },
		};
		this.#pino = pino(shape, this.#destination);
	}

	override init(factory: Factory): void {
		super.init(factory);
		logs.set(factory.broker, this);
	}

	/** moleculer asks for one handler per module. */
	getLogHandler({ mod = "broker", svc }: Bindings = {}): (level: Level, args: unknown[]) => void {
		const logger = this.#pino.child({ logger: mod.toLowerCase(), service: svc ?? this.service });
		return (level, args) => {
			if (!logger.isLevelEnabled(level)) return;
			const { message, about } = read(args);
			logger[level]({ ...currentLogFields(), ...about }, message);
		};
	}

	logs(level: Level): boolean {
		return this.#pino.isLevelEnabled(level);
	}
	/** Writes a line that is made already: JSON of the usual fields, redacted, with a line break at its end. */
	write(line: string): void {
		this.#destination.write(line);
	}
	/** It is part of the broker's options, which anybody may ask for. */
	toJSON(): object {
		return { type: "Log", level: this.level };
	}
}

/** Characters. Cut before a pattern looks at them. */
const LONGEST_MESSAGE = 8000;
/** Fields that every line has of its own. */
const OWN = ["level", "timestamp", "logger", "service", "message"];
/** What moleculer and services hand to a logger: words, and what the line is about. */
function read(args: readonly unknown[]): { message: string; about: object } {
	const words: string[] = [];
	const about: Record<string, unknown> = {};
	for (const arg of args) {
		if (arg instanceof Error) about.error = redact(arg);
		else if (typeof arg === "object" && arg !== null && !Array.isArray(arg))
			Object.assign(about, redact(arg));
		else words.push(typeof arg === "string" ? arg : JSON.stringify(redact(arg)));
	}
	for (const name of OWN.filter((one) => one in about)) {
		about[`its_${name}`] = about[name];
		delete about[name];
	}
	const { error } = about as { error?: { message?: string } };
	const message = words.length > 0 ? words.join(" ") : (error?.message ?? "");
	return {
		message: redactText(stripVTControlCharacters(message.slice(0, LONGEST_MESSAGE))).trim(),
		about,
	};
}

/** When all that was logged so far is written. */
export const flushLog = async (): Promise<void> => stdout?.written();

const logs = new WeakMap<object, Log>();
/** The log of a broker; undefined where it has none. */
export const logOf = (broker: object): Log | undefined => logs.get(broker);
