import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { type RecordedCall, stubbedServices, token } from "../../../test/support/gateway.ts";
import { summarizeProblem } from "../../../test/support/problems.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";

let shop: Shop;
let admin: string;
const calls: RecordedCall[] = [];
beforeAll(async () => {
	shop = await startShop({ services: ["api"], stubs: stubbedServices(calls) });
	admin = token(shop.env, "admin");
});
beforeEach(() => {
	calls.length = 0;
});
afterAll(() => shop?.stop());

const book = { name: "A book", price: 19.99, category: "books" };
const create = (body: unknown) => shop.http("POST /api/products", { token: admin, body });

test("reports each invalid field with the violated rule", async () => {
	const { status, headers, body } = await create({
		name: "",
		price: 1.99999,
		sku: "no spaces",
		stock: 1.5,
		role: "admin",
		is: 1,
	});
	expect(status).toBe(422);
	expect(headers.get("content-type")).toBe("application/problem+json");
	expect(body).toMatchObject({
		type: "/docs/errors#VALIDATION_ERROR",
		title: "Validation error",
		status: 422,
		code: "VALIDATION_ERROR",
		request_id: headers.get("x-request-id"),
	});
	expect(body.errors.map(({ field, code }: Record<string, string>) => [field, code])).toEqual([
		["name", "STRING_MIN"],
		["price", "MONEY"],
		["category", "REQUIRED"],
		["sku", "STRING_PATTERN"],
		["stock", "NUMBER_INTEGER"],
		["role", "OBJECT_STRICT"],
		["is", "OBJECT_STRICT"],
	]);
	for (const { message } of body.errors) expect(message).toEqual(expect.any(String));
	expect(calls).toEqual([]);
});

test("reports a nested field by its full path", async () => {
	const response = await shop.http("POST /api/orders", {
		token: token(shop.env),
		body: {
			items: [
				{ product_id: uuid(), quantity: 1 },
				{ product_id: "x", quantity: 0, price: 1 },
			],
		},
	});
	expect(summarizeProblem(response)[2]).toEqual([
		["items[1].product_id", "UUID"],
		["items[1].quantity", "NUMBER_MIN"],
		["items[1].price", "OBJECT_STRICT"],
	]);
});

test("ignores the query of a request with a body", async () => {
	await shop.http("POST /api/products?role=admin&name=Other&stock=5", { token: admin, body: book });
	expect(calls[0]!.params).toMatchObject({ name: "A book", stock: 0 });
	expect(calls[0]!.params).not.toHaveProperty("role");
});

test.each([
	"skip=1&skip=2",
	"limit[]=1",
	"category[$ne]=x",
	"category=a&category=b&category=c",
	"__proto__=x",
	"__proto__[role]=admin",
	"constructor[prototype][role]=admin",
	"role=admin",
	"$meta=x",
	"q=%00",
	"limit=101",
	"limit=x",
	"utm=x",
	"gclidx=1",
	"_x=1",
	"categroy=books",
	"sort=password",
])("rejects the query ?%s", async (query) => {
	expect(await shop.http(`GET /api/products?${query}`)).toMatchObject({
		status: 422,
		body: { code: "VALIDATION_ERROR" },
	});
	expect(calls).toEqual([]);
	expect({}).not.toHaveProperty("role");
});

test("validates path parameters, and rejects them in query and body", async () => {
	const id = uuid();
	expect(summarizeProblem(await shop.http("GET /api/products/nobody"))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["id", "UUID"]],
	]);
	expect((await shop.http(`GET /api/products/${id}%00`)).status).toBe(422);
	expect(summarizeProblem(await shop.http(`GET /api/products/${id}?id=${uuid()}`))).toEqual([
		422,
		"VALIDATION_ERROR",
		[["id", "PATH_PARAMETER"]],
	]);
	const patch = await shop.http(`PATCH /api/products/${id}`, {
		token: admin,
		body: { id: uuid(), name: "New" },
	});
	expect(summarizeProblem(patch)).toEqual([422, "VALIDATION_ERROR", [["id", "PATH_PARAMETER"]]]);
	expect(calls).toEqual([]);
});

test("checks the Idempotency-Key header only for actions that honor it", async () => {
	const order = { items: [{ product_id: uuid(), quantity: 1 }] };
	const keyed = (key: string) =>
		shop.http("POST /api/orders", {
			token: admin,
			body: order,
			headers: { "idempotency-key": key },
		});
	for (const key of ["", "x".repeat(256), "caf\u00e9", "a\tb"])
		expect(summarizeProblem(await keyed(key))).toEqual([400, "BAD_HEADER", undefined]);
	expect((await keyed("x".repeat(255))).status).toBe(202);
	const patch = await shop.http(`PATCH /api/products/${uuid()}`, {
		token: admin,
		body: { name: "New" },
		headers: { "idempotency-key": "x".repeat(256) },
	});
	expect(patch.status).toBe(200);
});

test.each([
	["utm_source=mail&utm_medium=e-mail&utm_campaign=caf%C3%A9", {}],
	["_=1764318626000", {}],
	["fbclid=x&gclid=y&msclkid=z&category=books", { category: "books" }],
	["q=", {}],
	["q", {}],
	["q=+%20&category=&min_price=&max_price=&sort=&limit=&skip=&after=", {}],
	["", {}],
	["&&", {}],
	["q=tea+%26+milk&category=&utm_source=x&limit=5", { q: "tea & milk", limit: 5 }],
])("ignores tracking and blank parameters in a public list: ?%s", async (query, params) => {
	const { status, headers } = await shop.http(`GET /api/products?${query}`);
	expect(status).toBe(200);
	expect(calls[0]!.params).toEqual({ skip: 0, limit: 100, ...params });
	expect(headers.get("link") ?? "").not.toMatch(/utm_|category=&/);
});

test("collects the keys of a record in the query, and rejects a value of its name", async () => {
	const { status } = await shop.http(
		"GET /api/products?attr.color=red&q=x&attr.size=M&attr.color=blue&attr.constructor=y",
	);
	expect(status).toBe(200);
	expect(calls[0]!.params).toMatchObject({
		q: "x",
		attr: { color: ["red", "blue"], size: ["M"], constructor: ["y"] },
	});
	for (const [query, field, code] of [
		["attr=red", "attr", "RECORD"],
		["attr=red&attr.color=blue", "attr", "RECORD"],
		["attr.color=red&attr=blue", "attr", "RECORD"],
		["attr.=red", "attr", "RECORD_KEY"],
		["attr.__proto__=red", "attr", "RECORD_KEY"],
		["attr.a.b=red", "attr", "RECORD_KEY"],
	])
		expect(summarizeProblem(await shop.http(`GET /api/products?${query}`))).toEqual([
			422,
			"VALIDATION_ERROR",
			[[field, code]],
		]);
	expect((await shop.http("GET /api/products?sort.by=name")).status).toBe(422);
});

test("ignores tracking parameters in public reads, and rejects them elsewhere", async () => {
	const id = uuid();
	expect((await shop.http(`GET /api/products/${id}?utm_source=mail`)).status).toBe(200);
	expect((await shop.http("GET /api/users/me?utm_source=mail", { token: admin })).status).toBe(422);
});
