import { stripVTControlCharacters } from "node:util";
import moleculer from "moleculer";
import { type DestinationStream, destination as openDestination, pino } from "pino";
import { currentLogFields } from "../../context/call-context.ts";
import type { Env } from "../../settings/env.ts";
import { bufferedWriter } from "./buffered-writer.ts";
import { formatForTerminal } from "./pretty.ts";
import { redact, redactText } from "./redact.ts";

type Level = NonNullable<Env["LOGLEVEL"]>;
type LogSettings = Pick<Env, "NODE_ENV" | "LOGLEVEL" | "LOG_FORMAT" | "SERVICES">;

/** The module or service for which Moleculer creates a logger. */
interface Bindings {
	readonly mod?: string;
	/** Name of the service. */
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
/** The current time as RFC 3339 text, cached because many lines share a millisecond. */
export function timestamp(): string {
	const now = Date.now();
	if (now !== lastMs) {
		lastMs = now;
		lastText = new Date(now).toISOString();
	}
	return lastText;
}

/**
 * The log of a process, as Moleculer's logger: JSON lines in production, readable text elsewhere.
 * Every line is redacted and has the request, user and trace of its call.
 */
export class Log extends Base {
	readonly level: Level;
	/** The `service` field of lines that do not belong to one service. */
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
		logsByBroker.set(factory.broker, this);
	}

	/** Moleculer requests one handler per module. */
	getLogHandler({ mod = "broker", svc }: Bindings = {}): (level: Level, args: unknown[]) => void {
		const logger = this.#pino.child({ logger: mod.toLowerCase(), service: svc ?? this.service });
		return (level, args) => {
			if (!logger.isLevelEnabled(level)) return;
			const { message, data } = parseArguments(args);
			logger[level]({ ...currentLogFields(), ...data }, message);
		};
	}

	/** Returns a logger for lines that are written outside of a broker. */
	loggerOf(mod: string): Record<"warn" | "fatal", (...args: unknown[]) => void> {
		const write = this.getLogHandler({ mod });
		return { warn: (...args) => write("warn", args), fatal: (...args) => write("fatal", args) };
	}

	logs(level: Level): boolean {
		return this.#pino.isLevelEnabled(level);
	}
	/** Writes a complete line: redacted JSON with the usual fields, ended by a line break. */
	write(line: string): void {
		this.#destination.write(line);
	}
	/** Part of the broker's options, which any caller can read through `$node.options`. */
	toJSON(): object {
		return { type: "Log", level: this.level };
	}
}

/** Characters. Longer messages are cut before the patterns run. */
const LONGEST_MESSAGE = 8000;
/** Fields of every line; data of the same name is prefixed with `its_`. */
const RESERVED_FIELDS = ["level", "timestamp", "logger", "service", "message"];
/** Separates the arguments of a log call into a message and data fields. */
function parseArguments(args: readonly unknown[]): { message: string; data: object } {
	const words: string[] = [];
	const data: Record<string, unknown> = {};
	for (const arg of args) {
		if (arg instanceof Error) data.error = redact(arg);
		else if (typeof arg === "object" && arg !== null && !Array.isArray(arg))
			Object.assign(data, redact(arg));
		else words.push(typeof arg === "string" ? arg : JSON.stringify(redact(arg)));
	}
	for (const name of RESERVED_FIELDS.filter((one) => one in data)) {
		data[`its_${name}`] = data[name];
		delete data[name];
	}
	const { error } = data as { error?: { message?: string } };
	const message = words.length > 0 ? words.join(" ") : (error?.message ?? "");
	return {
		message: redactText(stripVTControlCharacters(message.slice(0, LONGEST_MESSAGE))).trim(),
		data,
	};
}

/** Fulfills when all lines logged so far are written. */
export const flushLog = async (): Promise<void> => stdout?.written();

const logsByBroker = new WeakMap<object, Log>();
/** The log of a broker; undefined if it uses another logger. */
export const logOf = (broker: object): Log | undefined => logsByBroker.get(broker);
