import { exampleOfShape } from "../../lib/contracts/examples.ts";
import type { Rule, Shape } from "../../lib/contracts/schema.ts";
import type { Published } from "../../services/api/routing/published.ts";
import { HEADERS, RAW, SEGMENTS, TEXTS, VALUES } from "./values.ts";

/** A request as it is sent. */
export interface FuzzRequest {
	readonly method: string;
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: Buffer | undefined;
}
/** Ids of existing rows, by field name. */
export type Known = Readonly<Record<string, readonly string[]>>;
type Random = () => number;

const pick = <T>(values: readonly T[], next: Random): T =>
	values[Math.floor(next() * values.length)]!;

/** A value near the limits of a rule. */
function boundary(rule: Rule, next: Random): unknown {
	const { min, max } = rule as { min?: number; max?: number };
	if (rule.type === "string" || rule.type === "email") {
		return "x".repeat(
			pick(
				[0, (min ?? 1) - 1, min ?? 1, max ?? 10, (max ?? 10) + 1].filter((length) => length >= 0),
				next,
			),
		);
	}
	if (rule.type === "number" || rule.type === "money")
		return pick(
			[(min ?? 0) - 1, min ?? 0, (min ?? 0) - 0.01, max ?? 1e10, (max ?? 1e10) + 1, 0.5, 0.001],
			next,
		);
	if (rule.type === "array")
		return Array.from(
			{ length: pick([0, max ?? 3, (max ?? 3) + 1], next) },
			() => exampleOfShape({ one: rule.items }).one,
		);
	if (rule.type === "record")
		return Object.fromEntries(
			Array.from({ length: pick([0, rule.max, rule.max + 1], next) }, (_, i) => [
				`name ${i}`,
				exampleOfShape({ one: rule.value }).one,
			]),
		);
	if (rule.type === "multi") return boundary(pick(rule.rules, next), next);
	return pick(TEXTS, next);
}

/** A replacement for a valid value. */
function spoil(rule: Rule | undefined, value: unknown, next: Random): unknown {
	const chance = next();
	if (rule && chance < 0.3) return boundary(rule, next);
	// An earlier fault may have replaced the value.
	if (rule?.type === "object" && typeof value === "object" && value !== null && chance < 0.6)
		return spoilFields(rule.props, value as Record<string, unknown>, next);
	if (rule?.type === "array" && Array.isArray(value) && value.length > 0 && chance < 0.6)
		return [spoil(rule.items, value[0], next), ...value.slice(1)];
	if (rule?.type === "record" && chance < 0.6)
		return { ...(value as object), [pick(TEXTS, next)]: spoil(rule.value, undefined, next) };
	return chance < 0.8 ? pick(TEXTS, next) : pick(VALUES, next);
}
function spoilFields(
	shape: Shape,
	sample: Record<string, unknown>,
	next: Random,
): Record<string, unknown> {
	const fields = Object.keys(shape).filter((field) => !field.startsWith("$$"));
	const spoiled = { ...sample };
	const chance = next();
	if (chance < 0.1) spoiled[pick(TEXTS, next)] = pick(VALUES, next);
	else if (chance < 0.2 && fields.length > 0) delete spoiled[pick(fields, next)];
	else if (fields.length > 0) {
		const field = pick(fields, next);
		spoiled[field] = spoil(shape[field], sample[field], next);
	}
	return spoiled;
}

/** A request to a route, valid or with up to three faults. */
export function makeRequest(
	method: string,
	route: string,
	{ params, upload, download, bodyList }: Published,
	known: Known,
	next: Random,
): FuzzRequest {
	let fields = exampleOfShape(
		Object.fromEntries(Object.entries(params).filter(([field]) => !field.startsWith("$$"))),
	);
	for (const field of Object.keys(fields))
		if (known[field] && next() < 0.7) fields[field] = pick(known[field], next);
	if (Array.isArray(fields.items) && known.product_id)
		fields.items = [{ product_id: pick(known.product_id, next), quantity: 1 }];
	for (let faults = Math.floor(next() * 4); faults > 0; faults--)
		fields = spoilFields(params, fields, next);
	const used = new Set<string>();
	const path = route.replace(/:(\w+)/g, (_, field: string) => {
		used.add(field);
		if (next() < 0.15) return pick(SEGMENTS, next);
		return encodeForUrl(fields[field] ?? "") || "-";
	});
	// A cursor, which only gateways set, can be longer than a URL.
	if (download) used.add("cursor");
	const rest = Object.entries(fields).filter(([field]) => !used.has(field));
	const headers = next() < 0.2 ? pick(HEADERS, next) : {};
	if (upload) return { method, path, ...makeFile(headers, next) };
	if (method === "GET" || method === "DELETE")
		return { method, path: path + queryOf(rest, next), headers, body: undefined };
	const values = bodyList === undefined ? Object.fromEntries(rest) : fields[bodyList];
	// JSON has no undefined.
	const body = next() < 0.15 ? pick(RAW, next) : (JSON.stringify(values) ?? "");
	return {
		method,
		path,
		headers: { "content-type": "application/json", ...headers },
		body: Buffer.from(body),
	};
}

/** A file of rows, CSV or NDJSON, with arbitrary cells. */
function makeFile(headers: object, next: Random): Pick<FuzzRequest, "headers" | "body"> {
	const isCsv = next() < 0.5;
	const rows = Array.from({ length: Math.floor(next() * 20) }, (_, i) => {
		const name = pick(TEXTS, next);
		if (isCsv) return `FUZZ-${i},${next() < 0.3 ? name : JSON.stringify(name)},1.5,fuzz`;
		const price = next() < 0.5 ? 1.5 : pick(VALUES, next);
		return JSON.stringify({ sku: `FUZZ-${i}`, name, price, category: "fuzz" });
	});
	const text = [...(isCsv ? ["sku,name,price,category"] : []), ...rows].join("\n");
	return {
		headers: { "content-type": isCsv ? "text/csv" : "application/x-ndjson", ...headers },
		body: Buffer.from(next() < 0.15 ? pick(RAW, next) : text),
	};
}

const encodeForUrl = (value: unknown): string =>
	encodeURIComponent(
		(typeof value === "object" ? JSON.stringify(value) : String(value)).toWellFormed(),
	);

/** Keys and values of a parameter in a query. A record has one key per name and value. */
const pairsOf = (field: string, value: unknown): [string, unknown][] =>
	typeof value === "object" && value !== null && !Array.isArray(value)
		? Object.entries(value).flatMap(([name, values]) =>
				[values].flat().map((one): [string, unknown] => [`${field}.${name}`, one]),
			)
		: [[field, value]];

function queryOf(fields: readonly [string, unknown][], next: Random): string {
	if (next() < 0.05)
		return pick(
			["?%", "?%E0%A4%A", "?&&&=", "?a[]=1&a[b]=2", "?__proto__=1", `?${"a=1&".repeat(500)}`],
			next,
		);
	const pairs = fields
		.filter(() => next() < 0.7)
		.flatMap(([field, value]) => pairsOf(field, value))
		.map(([field, value]) => `${encodeForUrl(field)}=${encodeForUrl(value ?? "")}`);
	const all = next() < 0.1 ? [...pairs, ...pairs] : pairs;
	return all.length > 0 ? `?${all.join("&")}` : "";
}
