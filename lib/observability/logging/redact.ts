/** Names of fields whose content is hidden: credentials and personal data. */
const HIDDEN =
	/passw|secret|token|authorization|cookie|credential|api_?key|private_?key|e_?mail|full_?name|first_?name|last_?name|address|phone|^(card|iban|html|body|text)/i;
/**
 * A whole word that contains the name of a hidden field; whole, so that matches start once per
 * word.
 */
const HIDDEN_FIELD =
	"(?<!\\w)(?=\\w*?(?:passw|secret|token|authorization|cookie|credential|api_?key|" +
	"e_?mail|full_?name|first_?name|last_?name|address|phone))\\w+";

/**
 * Patterns for secrets inside a text, applied in order: each sees the replacements of those before.
 * Clients control parts of these texts, so each pattern runs in linear time: a match starts only
 * where a run of its characters starts.
 */
const IN_TEXT: readonly (readonly [RegExp, string | ((found: string) => string)])[] = [
	// A password in a URL.
	[/(\w:\/\/)[^\s/@:]*:[^\s/]*@/g, "$1[hidden]@"],
	[/(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, "[token]"],
	[/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, "$1 [hidden]"],
	// A query string, or the key in a database error.
	[new RegExp(`(${HIDDEN_FIELD})(\\)?=\\(?)[^&\\s"'#)]+`, "gi"), "$1$2[hidden]"],
	// JSON, also truncated.
	[new RegExp(`(${HIDDEN_FIELD}["']?\\s*:\\s*)"(?:\\\\.|[^"\\\\])*"?`, "gi"), '$1"[hidden]"'],
	[/[^\s"'`<>()[\]{}=:,;/\\|?&]+/g, hideAddress],
];
/** Quick check: a text without a match needs none of the patterns above. */
const SUSPECT = /[@:=]|%40|eyJ|Bearer|Basic/i;

/** Hides a run of characters if it is an e-mail address: text, a separator, a domain with a dot. */
function hideAddress(run: string): string {
	if (!run.includes("@") && !run.includes("%40")) return run;
	const [local, ...domains] = run.replaceAll("%40", "@").split("@");
	const isAddress = domains.some(
		(domain, i) => (local !== "" || i > 0) && /[^.]\.+[^.]{2}/.test(domain),
	);
	return isAddress ? `[e-mail]${/(?<!\.)\.*$/.exec(run)![0]}` : run;
}

/** Limit of a text, in characters. */
const MAX_TEXT = 8000;
/** Limit of all texts in a line, in characters. */
const MAX_LINE = 64_000;
const MAX_NAME = 200;
const cut = (text: string, longest = MAX_TEXT): string =>
	text.length > longest ? `${text.slice(0, longest)} …` : text;

/** Removes secrets and personal data from a text, and truncates it. */
export function redactText(text: string): string {
	const short = cut(text);
	if (!SUSPECT.test(short)) return short;
	return IN_TEXT.reduce(
		(clean, [pattern, instead]) => clean.replace(pattern, instead as string),
		short,
	);
}

const MAX_DEPTH = 6;
const MAX_ELEMENTS = 50;
/**
 * Copies a value without secrets and personal data; errors are reduced to their useful fields.
 * Never throws. Processes MAX_LINE characters at most, whatever the shape of the value.
 */
export function redact(value: unknown): unknown {
	try {
		return clean(value, 0, { left: MAX_LINE });
	} catch {
		return { unreadable: true };
	}
}

/** Remaining characters of the line. */
interface Budget {
	left: number;
}
function cleanText(text: string, budget: Budget): string {
	if (budget.left <= 0) return "…";
	const short = cut(text, Math.min(MAX_TEXT, budget.left));
	budget.left -= short.length;
	return redactText(short);
}

function clean(value: unknown, depth: number, budget: Budget): unknown {
	if (typeof value === "string") return cleanText(value, budget);
	if (typeof value === "bigint") return cut(String(value));
	if (typeof value !== "object" || value === null) return value;
	if (value instanceof Date) return value;
	if (isError(value)) return describeError(value, depth, budget);
	if (depth >= MAX_DEPTH || budget.left <= 0) return "…";
	// Charges for empty objects: there may be MAX_ELEMENTS to the power of MAX_DEPTH.
	budget.left -= 10;
	if (Array.isArray(value))
		return value.slice(0, MAX_ELEMENTS).map((one) => clean(one, depth + 1, budget));
	const fields = value instanceof Map ? [...value] : Object.entries(value);
	return Object.fromEntries(
		fields.slice(0, MAX_ELEMENTS).map(([key, content]) => {
			const name = cut(String(key), MAX_NAME);
			return [
				name,
				HIDDEN.test(name) && content != null ? "[hidden]" : clean(content, depth + 1, budget),
			];
		}),
	);
}

interface Failure extends Error {
	readonly code?: unknown;
	readonly type?: unknown;
	readonly nodeID?: unknown;
}
/** Recognizes errors of other realms and nodes, which are not instances of this Error class. */
const isError = (value: object): value is Failure =>
	value instanceof Error ||
	("stack" in value && "message" in value && typeof value.message === "string");

/**
 * Selects fields, because database errors contain statements and rows, and validation errors input.
 */
function describeError(
	{ name, message, code, type, nodeID, stack, cause }: Failure,
	depth: number,
	budget: Budget,
): object {
	return {
		name,
		message: cleanText(String(message), budget),
		...(code === undefined ? {} : { code }),
		...(type === undefined ? {} : { type }),
		...(nodeID === undefined ? {} : { node: nodeID }),
		...(stack ? { stack: cleanText(String(stack), budget) } : {}),
		...(cause === undefined || depth >= MAX_DEPTH
			? {}
			: { cause: clean(cause, depth + 1, budget) }),
	};
}

/** An SQL statement with its literals masked. */
export const withoutLiterals = (statement: string): string =>
	statement.replace(/'(?:[^']|'')*'/g, "'…'");
