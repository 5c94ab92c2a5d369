/** Fields whose content nobody may read in a log: what opens something, and what says who somebody is or where they live. */
const HIDDEN =
	/passw|secret|token|authorization|cookie|credential|api_?key|private_?key|e_?mail|full_?name|first_?name|last_?name|address|phone|^(card|iban|html|body|text)/i;
/** A whole word, hence at most one start per word, that holds the name of a hidden field. */
const HIDDEN_FIELD =
	"(?<!\\w)(?=\\w*?(?:passw|secret|token|authorization|cookie|credential|api_?key|e_?mail|full_?name|first_?name|last_?name|address|phone))\\w+";

/**
 * In the middle of a text; a pair that comes first has been replaced when the next one looks. Clients choose parts of these texts, so each pattern
 * takes time linear in the length of its text: matches start only where a run of their characters starts.
 */
const IN_TEXT: readonly (readonly [RegExp, string | ((found: string) => string)])[] = [
	// The password of a URL.
	[/(\w:\/\/)[^\s/@:]*:[^\s/]*@/g, "$1[hidden]@"],
	[/(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, "[token]"],
	[/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, "$1 [hidden]"],
	// A query string, or what a database says of a key.
	[new RegExp(`(${HIDDEN_FIELD})(\\)?=\\(?)[^&\\s"'#)]+`, "gi"), "$1$2[hidden]"],
	// JSON, also cut off.
	[new RegExp(`(${HIDDEN_FIELD}["']?\\s*:\\s*)"(?:\\\\.|[^"\\\\])*"?`, "gi"), '$1"[hidden]"'],
	[/[^\s"'`<>()[\]{}=:,;/\\|?&]+/g, hideAddress],
];
/** One look for all of the above. */
const SUSPECT = /[@:=]|%40|eyJ|Bearer|Basic/i;

/** A run of characters that may be in an e-mail address is hidden if it has text, a separator, and a domain with a dot. */
function hideAddress(run: string): string {
	if (!run.includes("@") && !run.includes("%40")) return run;
	const [local, ...domains] = run.replaceAll("%40", "@").split("@");
	const isAddress = domains.some(
		(domain, i) => (local !== "" || i > 0) && /[^.]\.+[^.]{2}/.test(domain),
	);
	return isAddress ? `[e-mail]${/(?<!\.)\.*$/.exec(run)![0]}` : run;
}

/** Characters of one text that are looked at, and written. */
const LONGEST_TEXT = 8000;
/** The same of all texts of one line. */
const LONGEST_LINE = 64_000;
const LONGEST_NAME = 200;
const cut = (text: string, longest = LONGEST_TEXT): string =>
	text.length > longest ? `${text.slice(0, longest)} …` : text;

/** A text without what is secret or personal in it, cut off where it is longer than a line should be. */
export function redactText(text: string): string {
	const short = cut(text);
	if (!SUSPECT.test(short)) return short;
	return IN_TEXT.reduce(
		(clean, [pattern, instead]) => clean.replace(pattern, instead as string),
		short,
	);
}

const DEEPEST = 6;
const MOST = 50;
/**
 * A copy of what a line is to tell, without what is secret or personal; errors become what is worth reading of them. Never throws, whatever was thrown.
 * Looks at LONGEST_LINE characters at most, whatever the shape of the value.
 */
export function redact(value: unknown): unknown {
	try {
		return clean(value, 0, { left: LONGEST_LINE });
	} catch {
		return { unreadable: true };
	}
}

/** Characters that may still be looked at. */
interface Budget {
	left: number;
}
function cleanText(text: string, budget: Budget): string {
	if (budget.left <= 0) return "…";
	const short = cut(text, Math.min(LONGEST_TEXT, budget.left));
	budget.left -= short.length;
	return redactText(short);
}

function clean(value: unknown, depth: number, budget: Budget): unknown {
	if (typeof value === "string") return cleanText(value, budget);
	if (typeof value === "bigint") return cut(String(value));
	if (typeof value !== "object" || value === null) return value;
	if (value instanceof Date) return value;
	if (isError(value)) return describe(value, depth, budget);
	if (depth >= DEEPEST || budget.left <= 0) return "…";
	// So that empty objects are not free: there may be MOST to the power of DEEPEST.
	budget.left -= 10;
	if (Array.isArray(value)) return value.slice(0, MOST).map((one) => clean(one, depth + 1, budget));
	const fields = value instanceof Map ? [...value] : Object.entries(value);
	return Object.fromEntries(
		fields.slice(0, MOST).map(([key, content]) => {
			const name = cut(String(key), LONGEST_NAME);
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
/** Errors of another realm or node have no class to be known by. */
const isError = (value: object): value is Failure =>
	value instanceof Error ||
	("stack" in value && "message" in value && typeof value.message === "string");

/** Never the whole of an error: those of databases carry statements and rows, those of validators what was sent. */
function describe(
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
		...(cause === undefined || depth >= DEEPEST ? {} : { cause: clean(cause, depth + 1, budget) }),
	};
}

/** A statement without the values that stand in it. */
export const withoutLiterals = (statement: string): string =>
	statement.replace(/'(?:[^']|'')*'/g, "'…'");
