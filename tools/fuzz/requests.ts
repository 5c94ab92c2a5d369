import { exampleOfShape } from "../../lib/contracts/examples.ts";
import type { Rule, Shape } from "../../lib/contracts/schema.ts";
import type { Published } from "../../services/api/routing/routes.ts";

/** A request as it is sent. */
export interface FuzzRequest {
	readonly method: string;
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: Buffer | undefined;
}
/** Ids of existing rows, by field name. */
export type Known = Readonly<Record<string, readonly string[]>>;
export type Random = () => number;

/** A deterministic pseudo-random number generator (mulberry32, public domain). */
export function random(seed: number): Random {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}
const pick = <T>(values: readonly T[], next: Random): T =>
	values[Math.floor(next() * values.length)]!;

const TEXTS: readonly string[] = [
	"",
	" ",
	"\0",
	"a\0b",
	"\u202egnp.exe",
	"Zoë 🛒 ﷽",
	"\ud83d",
	"\ufeff",
	"\r\nSet-Cookie: a=b",
	"%0d%0aX-Evil: 1",
	"' or '1'='1",
	"'; drop table users; --",
	"1) union all values (1); --",
	"%",
	"_%_",
	"\\",
	"$1",
	"{{7*7}}",
	"#{7*7}",
	"<script>alert(1)</script>",
	"../../../../etc/passwd",
	"__proto__",
	"constructor",
	"toString",
	"null",
	"undefined",
	"NaN",
	"true",
	"-1",
	"1e309",
	"0x10",
	"00000000-0000-0000-0000-000000000000",
	"019A0000-0000-7000-8000-00000000000A",
	"a@b",
	"a@example.com\n",
	`${"x".repeat(250)}@example.com`,
	"2026-13-45T99:99:99Z",
	"9999-12-31T23:59:59Z",
	"x".repeat(129),
	"ä".repeat(73),
	"x".repeat(6000),
	`${"@.".repeat(1100)} x`,
	"passw".repeat(300),
	"*",
	"🏴‍☠️".repeat(50),
];
const VALUES: readonly unknown[] = [
	null,
	true,
	false,
	0,
	-0,
	-1,
	1.005,
	0.1 + 0.2,
	1e-7,
	99999999999.99,
	9007199254740992,
	1e308,
	2147483648,
	-2147483649,
	[],
	{},
	[null],
	[[[[]]]],
	{ $gt: "" },
	{ $ne: null },
	{ toString: "x" },
	{ length: 5 },
	{ constructor: { prototype: { admin: true } } },
	["a", "b"],
	Array(101).fill(0),
];
/** Bodies that are not objects, or not JSON. */
const RAW: readonly (string | Buffer)[] = [
	"",
	"{",
	"[]",
	"null",
	'"text"',
	"1",
	"{}",
	'{"a":1,}',
	"{'a':1}",
	"NaN",
	'{"__proto__":{"role":"admin"}}',
	'{"constructor":{"prototype":{"role":"admin"}}}',
	'{"name":"a","name":"b"}',
	'{"email":"a@example.com","email":{"$gt":""}}',
	`${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`,
	"[".repeat(50_000),
	`{"name":"${"x".repeat(120_000)}"}`,
	`{${Array.from({ length: 5000 }, (_, i) => `"k${i}":1`).join(",")}}`,
	Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
	Buffer.from("\ufeff{}"),
	Buffer.from([0x1f, 0x8b, 0x08, 0x00]),
];
const SEGMENTS = [
	"%00",
	"%E0%A4%A",
	"%ff",
	"..%2f..",
	"%2e%2e",
	"me%20",
	"%F0%9F%9B%92",
	"a".repeat(3000),
	"%27%20or%201%3D1--",
	";a=b",
	"%0d%0a",
	"*",
];
const HEADERS: readonly Readonly<Record<string, string>>[] = [
	{ "content-type": "text/plain" },
	{ "content-type": "application/json; charset=utf-16" },
	{ "content-type": "multipart/form-data; boundary=x" },
	{ "content-encoding": "gzip" },
	{ "x-request-id": "x".repeat(300) },
	{ "x-request-id": "'; --" },
	{ "idempotency-key": "" },
	{ "idempotency-key": "x".repeat(256) },
	{ "if-match": "nonsense" },
	{ "if-match": '"nobody"' },
	{ "if-none-match": "*" },
	{ "last-event-id": "-1" },
	{ "x-forwarded-for": "1.1.1.1, ".repeat(100) },
	{ prefer: "respond-async" },
	{ traceparent: "00-zz-zz-00" },
	{ range: "bytes=0-1" },
	{ expect: "nothing" },
	{ accept: "text/html" },
	{ "x-http-method-override": "DELETE" },
	{ origin: "null" },
];

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
			[(min ?? 0) - 1, min ?? 0, (min ?? 0) - 0.01, max ?? 1e10, (max ?? 1e10) + 1, 0.5],
			next,
		);
	if (rule.type === "array")
		return Array.from(
			{ length: pick([0, max ?? 3, (max ?? 3) + 1], next) },
			() => exampleOfShape({ one: rule.items }).one,
		);
	return pick(TEXTS, next);
}

/** A replacement for a valid value. */
function spoil(rule: Rule | undefined, value: unknown, next: Random): unknown {
	const dice = next();
	if (rule && dice < 0.3) return boundary(rule, next);
	if (rule?.type === "object" && dice < 0.6)
		return spoilFields(rule.props, value as Record<string, unknown>, next);
	if (rule?.type === "array" && Array.isArray(value) && value.length > 0 && dice < 0.6)
		return [spoil(rule.items, value[0], next), ...value.slice(1)];
	return dice < 0.8 ? pick(TEXTS, next) : pick(VALUES, next);
}
function spoilFields(
	shape: Shape,
	sample: Record<string, unknown>,
	next: Random,
): Record<string, unknown> {
	const fields = Object.keys(shape).filter((field) => !field.startsWith("$$"));
	const spoiled = { ...sample };
	const dice = next();
	if (dice < 0.1) spoiled[pick(TEXTS, next)] = pick(VALUES, next);
	else if (dice < 0.2 && fields.length > 0) delete spoiled[pick(fields, next)];
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
	{ params }: Published,
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
	const rest = Object.entries(fields).filter(([field]) => !used.has(field));
	const headers = next() < 0.2 ? pick(HEADERS, next) : {};
	if (method === "GET" || method === "DELETE")
		return { method, path: path + queryOf(rest, next), headers, body: undefined };
	const body = next() < 0.15 ? pick(RAW, next) : JSON.stringify(Object.fromEntries(rest));
	return {
		method,
		path,
		headers: { "content-type": "application/json", ...headers },
		body: Buffer.from(body),
	};
}

const encodeForUrl = (value: unknown): string =>
	encodeURIComponent(
		(typeof value === "object" ? JSON.stringify(value) : String(value)).toWellFormed(),
	);

function queryOf(fields: readonly [string, unknown][], next: Random): string {
	if (next() < 0.05)
		return pick(
			["?%", "?%E0%A4%A", "?&&&=", "?a[]=1&a[b]=2", "?__proto__=1", `?${"a=1&".repeat(500)}`],
			next,
		);
	const pairs = fields
		.filter(() => next() < 0.7)
		.map(([field, value]) => `${encodeForUrl(field)}=${encodeForUrl(value ?? "")}`);
	const all = next() < 0.1 ? [...pairs, ...pairs] : pairs;
	return all.length > 0 ? `?${all.join("&")}` : "";
}
