import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { contract } from "../../../lib/contracts/contract.ts";
import { invalidField } from "../../../lib/contracts/errors.ts";
import { list, object } from "../../../lib/contracts/schema.ts";
import { defineService } from "../../../lib/service/define-service.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { summarizeProblem } from "../../../test/support/problems.ts";
import { type Shop, startShop } from "../../../test/support/shop.ts";

const row = object({
	name: { type: "string", max: 100, trim: true },
	size: { type: "number", min: 0, max: 9 },
});
/** A service with an action whose body is a list. */
const shelves = contract({
	name: "shelves",
	actions: {
		fill: {
			rest: "PUT /shelves/:room/rows",
			auth: "admin",
			bodyList: "rows",
			params: { room: { type: "string", max: 10 }, rows: list(row, { min: 1, max: 3000 }) },
			returns: { type: "any" },
		},
	},
});
const received: unknown[] = [];
const schema = defineService(shelves)({
	actions: {
		async fill({ params }) {
			received.push(params);
			if (params.rows[0]!.name === "taken")
				throw invalidField("rows[0].name", "TAKEN", "Another row has the name");
			return params.rows;
		},
	},
});

let shop: Shop;
let admin: string;
beforeAll(async () => {
	shop = await startShop({ services: ["api"], stubs: [...stubbedServices(), schema] });
	admin = token(shop.env, "admin");
});
beforeEach(() => {
	received.length = 0;
});
afterAll(() => shop?.stop());

const fill = (body: unknown) => shop.http("PUT /api/shelves/attic/rows", { token: admin, body });
const rows = (length: number) => Array.from({ length }, (_, i) => ({ name: `n${i}`, size: 1 }));

test("passes a list to the action, with the parameters of the path", async () => {
	const { status, body } = await fill([{ name: " a ", size: 1 }]);
	expect([status, body]).toEqual([200, [{ name: "a", size: 1 }]]);
	expect(received).toEqual([{ room: "attic", rows: [{ name: "a", size: 1 }] }]);
});

test("names invalid fields by their position in the list", async () => {
	const response = await fill([{ name: "a", size: 1 }, { name: 1, size: 10, more: 1 }, "x"]);
	expect(summarizeProblem(response)).toEqual([
		422,
		"VALIDATION_ERROR",
		[
			["[1].name", "STRING"],
			["[1].size", "NUMBER_MAX"],
			["[1].more", "OBJECT_STRICT"],
			["[2]", "OBJECT"],
		],
	]);
	expect(response.body.errors[0].message).toBe("The '[1].name' field must be a string.");
	const taken = await fill([{ name: "taken", size: 1 }]);
	expect(taken.body).toMatchObject({
		detail: "Some fields are not valid",
		errors: [{ field: "[0].name", code: "TAKEN", message: "Another row has the name" }],
	});
});

test.each([
	["no body", undefined, "REQUIRED", "The body is required."],
	["an object", { rows: rows(1) }, "ARRAY", "The body must be a JSON array"],
	["a text", '"rows"', "ARRAY", "The body must be a JSON array"],
	["null", "null", "ARRAY", "The body must be a JSON array"],
	["an empty list", [], "ARRAY_MIN", "The body must contain at least 1 items."],
	["a list that is too long", rows(3001), "ARRAY_MAX", undefined],
])("rejects %s", async (_what, body, code, message) => {
	const response = await fill(body);
	expect(summarizeProblem(response)).toEqual([422, "VALIDATION_ERROR", [["", code]]]);
	if (message) expect(response.body.errors[0].message).toBe(message);
	expect(received).toEqual([]);
});

test("accepts a body of up to 192 kB with 20,000 fields and elements", async () => {
	expect((await fill(rows(3000))).status).toBe(200);
	const long = rows(3000).map((one) => ({ ...one, size: `${"x".repeat(60)}` }));
	expect(await fill(long)).toMatchObject({
		status: 413,
		body: { code: "PAYLOAD_TOO_LARGE", detail: "The body is larger than 192 kB" },
	});
	const numbers = Array.from({ length: 20_001 }, () => 1);
	expect(await fill(numbers)).toMatchObject({
		status: 422,
		body: { errors: [{ field: "", code: "FIELDS" }] },
	});
	expect(received).toHaveLength(1);
});

test("reports the first 100 violations of a long list", async () => {
	const { status, body } = await fill(rows(3000).map(({ name }) => ({ name, size: 10 })));
	expect([status, body.errors.length]).toEqual([422, 100]);
	expect(body.errors[99].field).toBe("[99].size");
});

test.each([
	["a text that cannot be stored", '[{"name":"a\\u0000","size":1}]', "[0].name"],
	["a prototype", '[{"__proto__":{"role":"admin"},"name":"a","size":1}]', "__proto__"],
	["depth", `[{"name":${"[".repeat(30)}${"]".repeat(30)}}]`, expect.stringMatching(/^\[0\]\.name/)],
])("rejects %s in a list", async (_what, body, field) => {
	expect(await fill(body)).toMatchObject({ status: 422, body: { errors: [{ field }] } });
});

test("documents the body as an array", async () => {
	const { body } = await shop.http("GET /openapi.json");
	const { parameters, requestBody } = body.paths["/api/shelves/{room}/rows"].put;
	expect(parameters).toHaveLength(1);
	expect(requestBody.content["application/json"]).toMatchObject({
		schema: { type: "array", maxItems: 3000, items: { required: ["name", "size"] } },
		example: [{ name: "text", size: 1 }],
	});
});

test("requires the name of a list", () => {
	const { fill: action } = shelves.actions;
	const wrong = { ...shelves, actions: { fill: { ...action, bodyList: "room" } } } as const;
	expect(() => defineService(wrong)({ actions: { fill: async () => null } } as never)).toThrow(
		"names no list parameter: room",
	);
});
