import { json } from "./output.ts";

/** A command line that cannot be parsed. The message names the problem and shows the usage. */
export class UsageError extends Error {
	readonly type: string = "USAGE";
}
/**
 * An option that the command does not have. moleculer-repl's command of the same name may have it.
 */
export class UnknownOptionError extends UsageError {
	override readonly type = "UNKNOWN_OPTION";
}

interface CallError extends Error {
	readonly type?: string;
	readonly code?: number;
	/** The node that threw the error, if it was another one. */
	readonly nodeID?: string;
	readonly data?: unknown;
}
interface FieldError {
	readonly field?: string;
	readonly message?: string;
}
interface Described {
	readonly type: string;
	readonly code?: number;
	readonly message: string;
	readonly node?: string;
	/** Invalid fields, or the error's own data. */
	readonly fields?: Readonly<Record<string, unknown>>;
}

/** An error as one block: type and status, message, and one line per field. Contains no stack. */
export function explain(error: unknown): string {
	const { type, code, message, node, fields = {} } = describe(error);
	if (error instanceof UsageError) return message;
	const head = `${type}${code ? ` (${code})` : ""}: ${message}`;
	const details = { ...fields, ...(node ? { node } : {}) };
	const width = Math.max(0, ...Object.keys(details).map((name) => name.length));
	const lines = Object.entries(details).map(
		([name, value]) =>
			`  ${name.padEnd(width)}  ${typeof value === "string" ? value : JSON.stringify(value)}`,
	);
	return [head, ...lines].join("\n");
}

/** An error as a JSON object with the member `error`. */
export const explainAsJson = (error: unknown): string => json({ error: describe(error) });

function describe(error: unknown): Described {
	const { name, type, code, message, nodeID, data } = error as CallError;
	const fields = fieldsOf(data);
	return {
		type: type || name,
		...(typeof code === "number" ? { code } : {}),
		message,
		...(nodeID ? { node: nodeID } : {}),
		...(fields ? { fields } : {}),
	};
}

function fieldsOf(data: unknown): Record<string, unknown> | undefined {
	if (typeof data !== "object" || data === null) return undefined;
	const { errors = data, ...others } = data as { errors?: unknown };
	if (!Array.isArray(errors)) return { ...(data as Record<string, unknown>) };
	const invalid = (errors as FieldError[]).map(({ field, message }, i) => [
		field || `${i + 1}`,
		message ?? "invalid",
	]);
	return { ...(Array.isArray(data) ? {} : others), ...Object.fromEntries(invalid) };
}
