/** Fields whose content nobody may read in a log: what opens something, and what says who somebody is or where they live. */
const HIDDEN =
	/passw|secret|token|authorization|cookie|credential|api_?key|private_?key|e_?mail|full_?name|first_?name|last_?name|address|phone|^(card|iban|html|body|text)/i;
const HIDDEN_FIELD =
	"\\w*(?:passw|secret|token|authorization|cookie|credential|api_?key|e_?mail|full_?name|first_?name|last_?name|address|phone)\\w*";

/** In the middle of a text. A pair that comes first has been replaced when the next one looks. */
const IN_TEXT: readonly (readonly [RegExp, string])[] = [
	// The password of a URL.
	[/(\w:\/\/)[^\s/@]*:[^\s/]*@/g, "$1[hidden]@"],
	[/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, "[token]"],
	[/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, "$1 [hidden]"],
	// A query string, or what a database says of a key.
	[new RegExp(`(${HIDDEN_FIELD})(\\)?=\\(?)[^&\\s"'#)]+`, "gi"), "$1$2[hidden]"],
	// JSON, also cut off.
	[new RegExp(`(["']?${HIDDEN_FIELD}["']?\\s*:\\s*)"(?:\\\\.|[^"\\\\])*"?`, "gi"), '$1"[hidden]"'],
	[/[^\s"'`<>()[\]{}=:,;/\\|?&]+(?:@|%40)[^\s"'`<>()[\]{}=:,;/\\|?&@]+\.[^\s"'`<>()[\]{}=:,;/\\|?&@.]{2,}/gi, "[e-mail]"],
];
/** One look for all of the above. */
const SUSPECT = /[@:=]|%40|eyJ|Bearer|Basic/i;

const LONGEST = 8000;
/** A text without what is secret or personal in it. */
export function redactText(text: string): string {
	const short = text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text;
	if (!SUSPECT.test(short)) return short;
	return IN_TEXT.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), short);
}

const DEEPEST = 6;
const MOST = 50;
/** A copy of what a line is to tell, without what is secret or personal; errors become what is worth reading of them. Never throws, whatever was thrown. */
export function redact(value: unknown): unknown {
	try {
		return clean(value, 0);
	} catch {
		return { unreadable: true };
	}
}

function clean(value: unknown, depth: number): unknown {
	if (typeof value === "string") return redactText(value);
	if (typeof value === "bigint") return String(value);
	if (typeof value !== "object" || value === null) return value;
	if (value instanceof Date) return value;
	if (isError(value)) return describe(value, depth);
	if (depth >= DEEPEST) return "…";
	if (Array.isArray(value)) return value.slice(0, MOST).map((one) => clean(one, depth + 1));
	const fields = value instanceof Map ? [...value] : Object.entries(value);
	return Object.fromEntries(
		fields.slice(0, MOST).map(([key, content]) => [key, HIDDEN.test(key) && content != null ? "[hidden]" : clean(content, depth + 1)]),
	);
}

interface Failure extends Error {
	readonly code?: unknown;
	readonly type?: unknown;
	readonly nodeID?: unknown;
}
/** Errors of another realm or node have no class to be known by. */
const isError = (value: object): value is Failure =>
	value instanceof Error || ("stack" in value && "message" in value && typeof value.message === "string");

/** Never the whole of an error: those of databases carry statements and rows, those of validators what was sent. */
function describe({ name, message, code, type, nodeID, stack, cause }: Failure, depth: number): object {
	return {
		name,
		message: redactText(String(message)),
		...(code === undefined ? {} : { code }),
		...(type === undefined ? {} : { type }),
		...(nodeID === undefined ? {} : { node: nodeID }),
		...(stack ? { stack: redactText(String(stack)) } : {}),
		...(cause === undefined || depth >= DEEPEST ? {} : { cause: clean(cause, depth + 1) }),
	};
}

/** A statement without the values that stand in it. */
export const withoutLiterals = (statement: string): string => statement.replace(/'(?:[^']|'')*'/g, "'…'");
