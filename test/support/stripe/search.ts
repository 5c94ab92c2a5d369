import { invalidParameter } from "./errors.ts";
import type { Form } from "./form.ts";
import type { PaymentIntent } from "./objects.ts";
import { integer, required, text } from "./params.ts";

type Matches = (intent: PaymentIntent) => boolean;

const CLAUSE =
	/^(?<not>-)?(?<field>\w+)(?:\[(?<q1>["'])(?<key>.+?)\k<q1>\])?(?<operator>:|>=|<=|>|<)(?:(?<q2>["'])(?<text>.*)\k<q2>|(?<number>\d+))$/;
const TEXT_FIELDS = ["status", "currency"] as const;
const NUMBER_FIELDS = ["amount", "created"] as const;
const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
	":": (a, b) => a === b,
	">": (a, b) => a > b,
	">=": (a, b) => a >= b,
	"<": (a, b) => a < b,
	"<=": (a, b) => a <= b,
};
const MAX_LIMIT = 100;

/**
 * A result page of https://docs.stripe.com/search. Supports clauses over metadata, status,
 * currency, amount and created, joined by either AND or OR, and negation; no substring matches.
 *
 * @param intents in the order of their creation, without those that the index does not contain yet
 * @throws ApiError for an invalid query
 */
export function search(intents: readonly PaymentIntent[], form: Form, url: string) {
	const matches = parseQuery(required(text(form, "query"), "query"));
	const limit = integer(form, "limit", { min: 1, max: MAX_LIMIT }) ?? 10;
	const start = integer({ page: text(form, "page") ?? "0" }, "page")!;
	const found = intents.filter(matches).reverse();
	const end = start + limit;
	const has_more = found.length > end;
	return {
		object: "search_result",
		url,
		has_more,
		next_page: has_more ? String(end) : null,
		data: found.slice(start, end),
	};
}

function parseQuery(query: string): Matches {
	// Splits at the operators outside quotes.
	const words = query.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
	const operators = new Set(words.filter((_, index) => index % 2 === 1));
	const clauses = words
		.filter((_, index) => index % 2 === 0)
		.map((word) => parseClause(word, query));
	if (words.length % 2 === 0 || operators.size > 1) throw invalidQuery(query);
	const [operator = "AND"] = operators;
	if (operator === "AND") return (intent) => clauses.every((matches) => matches(intent));
	if (operator === "OR") return (intent) => clauses.some((matches) => matches(intent));
	throw invalidQuery(query);
}

function parseClause(clause: string, query: string): Matches {
	const groups = CLAUSE.exec(clause)?.groups;
	if (!groups) throw invalidQuery(query);
	const { not, field, key, operator, text: value, number } = groups;
	const matches = comparison({ field: field!, key, operator: operator!, value, number });
	if (!matches) throw invalidQuery(query);
	return (intent) => matches(intent) === (not === undefined);
}

function comparison(clause: {
	field: string;
	key: string | undefined;
	operator: string;
	value: string | undefined;
	number: string | undefined;
}): Matches | undefined {
	const { field, key, operator, value, number } = clause;
	if (field === "metadata" && key !== undefined && value !== undefined && operator === ":")
		return ({ metadata }) => metadata[key] === value;
	const textField = TEXT_FIELDS.find((name) => name === field);
	if (textField && value !== undefined && operator === ":")
		return (intent) => intent[textField] === value;
	const numberField = NUMBER_FIELDS.find((name) => name === field);
	const operand = Number(number ?? value);
	if (numberField && Number.isInteger(operand))
		return (intent) => COMPARISONS[operator]!(intent[numberField], operand);
	return undefined;
}

const invalidQuery = (query: string) =>
	invalidParameter(`We were unable to parse your search query: ${query}`, { param: "query" });
