import { exampleOf, exampleOfShape } from "../../lib/contracts/examples.ts";
import type { Rule, Shape } from "../../lib/contracts/schema.ts";
import type { FuzzOptions } from "./fuzz.ts";
import type { FuzzRequest } from "./requests.ts";

/**
 * Texts whose repetition makes common patterns backtrack: patterns of e-mail addresses, lists,
 * quotes, numbers, white space, IP addresses, tokens and field names.
 */
export const PIECES: readonly string[] = [
	...[
		"@.",
		"a@",
		"%40",
		".",
		"passw",
		"eyJ",
		"-eyJaaaaa",
		"Bearer ",
		" ",
		"\t",
		"0",
		"1:",
		"1.1.1.1, ",
		"/",
	],
	...['"a",', '\\"', "a=", ";a=b,", "a,", "((", "a-", "é", "$`"],
];
/** Length of a value in a body: just below the limit of 100 kB. */
const BODY_LENGTH = 90_000;
/** Bytes of a value in the head of a request: node:http accepts 16 kB. */
const HEAD_LENGTH = 14_000;
const HEADERS = [
	...[
		"authorization",
		"if-match",
		"if-none-match",
		"prefer",
		"traceparent",
		"tracestate",
		"baggage",
		"last-event-id",
		"idempotency-key",
	],
	...[
		"x-request-id",
		"x-forwarded-for",
		"forwarded",
		"content-type",
		"content-encoding",
		"accept",
		"accept-encoding",
		"accept-language",
	],
	...["origin", "cookie", "range", "expect", "user-agent"],
];

const text = (piece: string, length: number): string =>
	`${piece.repeat(Math.ceil(length / piece.length)).slice(0, length)} x`;
function encoded(piece: string): string {
	const one = encodeURIComponent(piece);
	return `${one.repeat(Math.floor(HEAD_LENGTH / one.length))}%20x`;
}

/**
 * Requests with one value of maximum length, for each parameter, header, path and query in turn.
 * @param pieces texts to repeat
 */
export function* attacks(
	routes: FuzzOptions["routes"],
	token: string | undefined,
	pieces: readonly string[] = PIECES,
): Generator<FuzzRequest> {
	const headers: Record<string, string> = {
		"content-type": "application/json",
		...(token ? { authorization: `Bearer ${token}` } : {}),
	};
	for (const piece of pieces) {
		yield { method: "GET", path: `/${encoded(piece)}`, headers: {}, body: undefined };
		yield { method: "GET", path: `/?${encoded(piece)}`, headers: {}, body: undefined };
		// node:http rejects other characters in header values.
		const value = text(piece, HEAD_LENGTH);
		if (/^[\t\x20-\x7e]*$/.test(value))
			for (const name of HEADERS)
				yield { method: "GET", path: "/api/products", headers: { [name]: value }, body: undefined };
		for (const { method, path, contract } of routes) {
			const withBody = method !== "GET" && method !== "DELETE";
			for (const params of attackShape(
				contract.params,
				withBody ? text(piece, BODY_LENGTH) : piece,
			))
				yield withBody
					? bodyRequest(method, path, contract.bodyList, params, headers)
					: headRequest(method, path, params, piece, headers);
			for (const [parameter] of path.matchAll(/:\w+/g))
				yield {
					method,
					path: filled(path.replace(parameter, encoded(piece)), contract.params),
					headers,
					body: withBody ? Buffer.from("{}") : undefined,
				};
		}
	}
}

const filled = (path: string, params: Shape): string =>
	path.replace(/:(\w+)/g, (_, name: string) =>
		encodeURIComponent(String(params[name] ? exampleOf(params[name]) : "x")),
	);

function bodyRequest(
	method: string,
	path: string,
	bodyList: string | undefined,
	params: Record<string, unknown>,
	headers: FuzzRequest["headers"],
): FuzzRequest {
	const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
	const body = Object.fromEntries(
		Object.entries(params).filter(([name]) => !inPath.includes(name)),
	);
	return {
		method,
		path: path.replace(/:\w+/g, "019a0000-0000-7000-8000-000000000001"),
		headers,
		body: Buffer.from(JSON.stringify(bodyList === undefined ? body : body[bodyList])),
	};
}
/**
 * Sends the attack in the query.
 * @param piece marks the attacked parameter, and is repeated there
 */
function headRequest(
	method: string,
	path: string,
	params: Record<string, unknown>,
	piece: string,
	headers: FuzzRequest["headers"],
): FuzzRequest {
	const query = Object.entries(params)
		.filter(([name, value]) => value === piece && !path.includes(`:${name}`))
		.map(([name]) => `${name}=${encoded(piece)}`);
	return {
		method,
		path: `${path.replace(/:\w+/g, "019a0000-0000-7000-8000-000000000001")}?${query[0] ?? ""}`,
		headers,
		body: undefined,
	};
}

/** Examples by shape: every shape is attacked with many texts. */
const samples = new WeakMap<Shape, Record<string, unknown>>();
function sampleOf(shape: Shape): Record<string, unknown> {
	const sample =
		samples.get(shape) ??
		exampleOfShape(
			Object.fromEntries(Object.entries(shape).filter(([field]) => !field.startsWith("$$"))),
		);
	samples.set(shape, sample);
	return sample;
}

/** Valid parameters with one attacked value, for each value at any depth. */
function attackShape(shape: Shape, value: string): Record<string, unknown>[] {
	const sample = sampleOf(shape);
	return Object.keys(sample).flatMap((field) =>
		attackValues(shape[field]!, value).map((one) => ({ ...sample, [field]: one })),
	);
}
function attackValues(rule: Rule, value: string): unknown[] {
	if (rule.type === "array") return attackValues(rule.items, value).map((one) => [one]);
	if (rule.type === "object") return attackShape(rule.props, value);
	if (rule.type === "record")
		return [
			{ [value]: exampleOf(rule.value) },
			...attackValues(rule.value, value).map((one) => ({ name: one })),
		];
	if (rule.type === "multi") return rule.rules.flatMap((one) => attackValues(one, value));
	return [value];
}
