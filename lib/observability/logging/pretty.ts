import { createRequire } from "node:module";
import type { PrettyOptions } from "pino-pretty";

type Format = (json: string) => string;
const require = createRequire(import.meta.url);

const OPTIONS: PrettyOptions = {
	singleLine: true,
	messageKey: "message",
	timestampKey: "timestamp",
	translateTime: "UTC:HH:MM:ss.l",
	ignore: "logger,service",
	errorLikeObjectKeys: ["error"],
	messageFormat: ({ logger, service, message }, _key, _level, { colors }) => {
		const where = service && service !== logger ? `${service}/${logger}` : `${logger}`;
		return `${colors.bold(where)} ${message}`;
	},
};
const formats = new Map<boolean, Format>();

/** Formats a JSON log line for a terminal: time in UTC, level, logger, message, fields, error. */
export function formatForTerminal(json: string, colors: boolean): string {
	const found = formats.get(colors);
	if (found) return found(json);
	// Loaded on first use: it takes 10 MB of memory, and production writes JSON.
	const { prettyFactory } = require("pino-pretty") as typeof import("pino-pretty");
	const format: Format = prettyFactory({ ...OPTIONS, colorize: colors });
	formats.set(colors, format);
	return format(json);
}
