import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { Errors } from "moleculer";
import { contract } from "../../../lib/contracts/contract.ts";
import {
	type UploadBatch,
	type UploadResult,
	uploadBatch,
	uploadResult,
} from "../../../lib/contracts/transfers.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import type { Gateway } from "../http/exchange.ts";

const files = contract({
	name: "files",
	actions: {
		receive: {
			summary: "Receive a file",
			rest: "POST /files",
			auth: "admin",
			upload: { key: "sku" },
			repeatable: "a repeated row is unchanged",
			params: uploadBatch,
			returns: uploadResult,
		},
	},
});

type Line = Record<string, unknown>;
let shop: Shop;
let admin: string;
/** Batches that the stub has received, and its next results. */
let batches: UploadBatch[];
let apply: (batch: UploadBatch) => Promise<UploadResult>;
const created = async ({ rows }: UploadBatch): Promise<UploadResult> => ({
	created: rows.length,
	updated: 0,
	unchanged: 0,
	errors: [],
});

beforeAll(async () => {
	const receiver = stub(files, {
		receive({ params }: { params: UploadBatch }) {
			batches.push(params);
			return apply(params);
		},
	} as never);
	shop = await startShop({ services: ["api"], stubs: [...stubbedServices(), receiver] });
	admin = token(shop.env, "admin");
});
beforeEach(() => {
	batches = [];
	apply = created;
});
afterAll(() => shop?.stop());

const CSV = { "content-type": "text/csv" };
const NDJSON = { "content-type": "application/x-ndjson" };
/** Sends a whole file. */
async function upload(
	body: string | Buffer,
	headers: Record<string, string> = CSV,
	bearer = admin,
) {
	const response = await fetch(`${shop.url}/api/files`, {
		method: "POST",
		headers: { ...headers, authorization: `Bearer ${bearer}` },
		body: body as string,
	});
	return { status: response.status, headers: response.headers, text: await response.text() };
}
const linesOf = (text: string): Line[] =>
	text
		.split("\n")
		.filter(Boolean)
		.map((line) => JSON.parse(line));
const summaryOf = (text: string) => linesOf(text).at(-1);

/** Opens an upload whose body is sent later, and collects the lines of its response. */
function open(headers: Record<string, string> = CSV) {
	const lines: Line[] = [];
	const req: ClientRequest = request(`${shop.url}/api/files`, {
		method: "POST",
		headers: { ...headers, authorization: `Bearer ${admin}` },
	});
	const ended = new Promise<IncomingMessage>((resolve, reject) => {
		req.once("error", reject);
		req.once("response", (res) => {
			createInterface(res)
				.on("line", (line) => lines.push(JSON.parse(line)))
				.on("error", () => undefined);
			res.once("end", () => resolve(res));
			res.once("error", reject);
		});
	});
	ended.catch(() => undefined);
	return { req, lines, ended };
}
const rowsOf = (from: number, to: number) =>
	Array.from({ length: to - from }, (_, i) => `S${from + i},Name ${from + i}\n`).join("");

test("sends the rows of a CSV file in batches and responds with progress", async () => {
	const { status, headers, text } = await upload(`sku,name\n${rowsOf(0, 1200)}`);
	expect([status, headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
	expect(linesOf(text)).toEqual([
		...Array.from({ length: 12 }, (_, i) => ({ rows: 100 * (i + 1) })),
		{ done: true, created: 1200, updated: 0, unchanged: 0, failed: 0, errors: [] },
	]);
	expect(batches[0]).toMatchObject({ format: "csv", columns: ["sku", "name"] });
	expect(batches[0]!.rows[0]).toEqual({ row: 2, value: ["S0", "Name 0"] });
	expect(batches.at(-1)!.rows.at(-1)).toEqual({ row: 1201, value: ["S1199", "Name 1199"] });
});

test("sends the lines of an NDJSON file as objects", async () => {
	const { text } = await upload('{"sku":"A"}\n\n{"sku":"B","x":[1]}\n', NDJSON);
	expect(summaryOf(text)).toMatchObject({ done: true, created: 2 });
	expect(batches).toEqual([
		{
			format: "ndjson",
			columns: [],
			rows: [
				{ row: 1, value: { sku: "A" } },
				{ row: 3, value: { sku: "B", x: [1] } },
			],
		},
	]);
});

test("decompresses gzip, and rejects other encodings and damaged data", async () => {
	const zipped = gzipSync("sku\nA\n");
	const gzip = { ...CSV, "content-encoding": "gzip" };
	expect(summaryOf((await upload(zipped, gzip)).text)).toMatchObject({ done: true, created: 1 });
	expect((await upload(zipped, { ...CSV, "content-encoding": "br" })).status).toBe(415);
	for (const damaged of ["no gzip", zipped.subarray(0, 12)]) {
		const { status, text } = await upload(damaged, gzip);
		expect([status, JSON.parse(text)]).toMatchObject([
			400,
			{ code: "MALFORMED_BODY", detail: "The body is not valid gzip" },
		]);
	}
});

test.each([
	["application/json", 415],
	["text/plain", 415],
	["text/csv; charset=iso-8859-1", 415],
	['Text/CSV; charset="UTF-8"; header=present', 200],
])("responds to a body of type %s with %d", async (type, status) => {
	expect((await upload("sku\nA\n", { "content-type": type })).status).toBe(status);
});

test("rejects a caller without the right before it reads the body", async () => {
	const { status } = await upload("sku\nA\n", CSV, token(shop.env, "user"));
	expect([status, batches]).toEqual([403, []]);
});

test("reports the errors of rows in order, and continues", async () => {
	apply = async ({ rows }) => ({
		created: rows.length - 1,
		updated: 0,
		unchanged: 0,
		errors: [{ row: 5, key: "C", field: "name", message: "is wrong" }],
	});
	const { text } = await upload("sku,name\nA,a\nA,b\nB\nC,c\nD,d\n");
	expect(summaryOf(text)).toEqual({
		done: true,
		created: 2,
		updated: 0,
		unchanged: 0,
		failed: 3,
		errors: [
			{
				row: 3,
				sku: "A",
				field: "sku",
				message: "Row 2 has the same sku; this row was not applied",
			},
			{
				row: 4,
				sku: null,
				field: null,
				message: "The row has 1 cells, but the header has 2",
			},
			{ row: 5, sku: "C", field: "name", message: "is wrong" },
		],
	});
});

test("lists the first 1,000 errors and counts all", async () => {
	const { text } = await upload(`sku,name\n${"A\n".repeat(1500)}`);
	const { failed, errors } = summaryOf(text) as { failed: number; errors: { row: number }[] };
	expect([failed, errors.length, errors[0]!.row, errors.at(-1)!.row]).toEqual([
		1500, 1000, 2, 1001,
	]);
});

test("rejects a header that is not valid, and a header that the action rejects", async () => {
	const bad = await upload("sku,sku\n");
	expect([bad.status, JSON.parse(bad.text).errors]).toEqual([
		422,
		[{ field: "", message: 'The header names the column "sku" twice', code: "HEADER" }],
	]);
	apply = async () => {
		throw new Errors.MoleculerClientError("No such column", 422, "VALIDATION_ERROR", {});
	};
	for (const rows of ["", "A\n"]) {
		const { status, text } = await upload(`sku\n${rows}`);
		expect([status, JSON.parse(text).detail]).toEqual([422, "No such column"]);
	}
});

test("applies rows before the file is complete", async () => {
	const { req, lines, ended } = open();
	req.write(`sku,name\n${rowsOf(0, 500)}S`);
	// The incomplete row remains in the parser; the first batch is complete with the next row.
	req.write(rowsOf(500, 501).slice(1));
	req.write(rowsOf(501, 502));
	await eventually(() => expect(lines).toContainEqual({ rows: 500 }));
	req.end(rowsOf(502, 503));
	await ended;
	expect(lines.at(-1)).toMatchObject({ done: true, created: 503 });
});

test("reads no more than two batches and some chunks ahead of the action", async () => {
	const gate = Promise.withResolvers<void>();
	apply = async (batch) => {
		await gate.promise;
		return created(batch);
	};
	const { req, ended, lines } = open();
	const row = (i: number) => `S${i},${"x".repeat(20_000)}\n`;
	let [n, sent] = [0, 0];
	req.write("sku,name\n");
	const write = () => {
		while (n < 1000) if (!req.write(row(n++), () => sent++)) return req.once("drain", write);
		return req.end();
	};
	write();
	await eventually(() => expect(batches.length).toBe(1));
	// 20 MB do not fit into the buffers of the sockets.
	expect(sent).toBeLessThan(800);
	gate.resolve();
	await ended;
	expect(lines.at(-1)).toMatchObject({ done: true, created: 1000 });
});

test("repeats a batch during an outage", async () => {
	apply = async () => {
		apply = created;
		throw new Errors.RequestTimeoutError({ action: "files.receive", nodeID: "x" });
	};
	const { status, text } = await upload("sku\nA\n");
	expect([status, summaryOf(text)]).toMatchObject([200, { done: true, created: 1 }]);
	expect(batches).toHaveLength(2);
	expect(batches[0]).toEqual(batches[1]);
});

test("reports a failure after the first batch in the last line", async () => {
	apply = async (batch) => {
		apply = async () => {
			throw new Error("secret");
		};
		return created(batch);
	};
	const { status, text } = await upload(`sku,name\n${rowsOf(0, 2000)}`);
	expect(status).toBe(200);
	expect(linesOf(text)).toEqual([
		{ rows: 100 },
		{
			done: false,
			code: "INTERNAL_ERROR",
			detail: "Internal error; report it with the request_id",
			request_id: expect.any(String),
			created: 100,
			updated: 0,
			unchanged: 0,
			failed: 0,
			errors: [],
		},
	]);
});

test("accepts two uploads at a time, and stops one whose client disconnects", async () => {
	const [first, second] = [open(), open()];
	for (const { req } of [first, second]) req.write(`sku,name\n${rowsOf(0, 600)}`);
	for (const { lines } of [first, second])
		await eventually(() => expect(lines).toContainEqual({ rows: 500 }));
	const third = await upload("sku\nA\n");
	expect([third.status, third.headers.get("retry-after")]).toEqual([429, "10"]);
	first.req.destroy();
	await eventually(async () => expect((await upload("sku\nA\n")).status).toBe(200));
	second.req.end();
	await second.ended;
	expect(second.lines.at(-1)).toMatchObject({ done: true, created: 600 });
});

test("sends no further batch after the client has disconnected", async () => {
	const gate = Promise.withResolvers<void>();
	apply = async (batch) => {
		await gate.promise;
		return created(batch);
	};
	const { req } = open();
	req.on("error", () => undefined).end(`sku,name\n${rowsOf(0, 3000)}`);
	await eventually(() => expect(batches).toHaveLength(1));
	const api = shop.broker.getLocalService("api") as unknown as Gateway;
	req.destroy();
	await eventually(() => expect(api.listener.inFlight).toBe(0));
	gate.resolve();
	// The gateway accepts two uploads at a time: it accepts both after it has ended the first one.
	await eventually(async () => {
		const both = await Promise.all([upload("sku\nA\n"), upload("sku\nB\n")]);
		expect(both.map(({ status }) => status)).toEqual([200, 200]);
	});
	expect(batches.filter(({ rows }) => rows.length > 1)).toHaveLength(1);
});

test("ends uploads in progress when the gateway stops", async () => {
	const { req, lines, ended } = open();
	req.write(`sku,name\n${rowsOf(0, 600)}`);
	await eventually(() => expect(lines).toContainEqual({ rows: 500 }));
	(shop.broker.getLocalService("api") as unknown as Gateway).uploads.close();
	await ended;
	expect(lines.at(-1)).toMatchObject({ done: false, code: "SERVICE_UNAVAILABLE" });
	expect((await upload("sku\nA\n")).status).toBe(503);
});
