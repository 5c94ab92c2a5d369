import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];
const STYLES: Readonly<Record<string, Style>> = {
	fatal: "magenta",
	error: "red",
	warn: "yellow",
	info: "green",
	debug: "cyan",
	trace: "gray",
};

interface Line {
	readonly timestamp: string;
	readonly level: string;
	readonly logger: string;
	readonly message: string;
	readonly error?: { readonly stack?: string };
	readonly [field: string]: unknown;
}

/** Formats a JSON log line for a terminal: time, level, logger, message, fields, then the stack. */
export function formatForTerminal(json: string, colors: boolean): string {
	const { timestamp, level, logger, message, service, error, ...rest } = JSON.parse(json) as Line;
	const paint = (style: Style, text: string) =>
		colors ? styleText(style, text, { validateStream: false }) : text;
	const about = { ...rest, ...(error && !error.stack ? { error } : {}) };
	const fields = Object.entries(about).map(
		([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
	);
	const where = service && service !== logger ? `${service}/${logger}` : logger;
	const head = [
		timestamp.slice(11, 23),
		paint(STYLES[level] ?? "white", level.toUpperCase().padEnd(5)),
		paint("bold", where),
		message,
	];
	const tail = fields.length > 0 ? ` ${paint("gray", fields.join(" "))}` : "";
	const stack = error?.stack ? `\n${error.stack.replace(/^/gm, "    ")}` : "";
	return `${head.join(" ")}${tail}${stack}\n`;
}
