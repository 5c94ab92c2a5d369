import { request } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { contract } from "../../../lib/contracts/contract.ts";
import {
	type DownloadPart,
	downloadPart,
	downloadRequest,
} from "../../../lib/contracts/transfers.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";

const files = contract({
	name: "files",
	actions: {
		send: {
			summary: "Send a file",
			rest: "GET /files",
			auth: "admin",
			download: { name: "things" },
			params: downloadRequest,
			returns: downloadPart,
		},
	},
});

let shop: Shop;
let admin: string;
let requests: { format: string; cursor?: string }[];
let part: (cursor: string | undefined) => Promise<DownloadPart>;
/** A file of `n` parts. */
const parts =
	(n: number, text = "line\n") =>
	async (cursor = "0") => ({
		text,
		cursor: Number(cursor) + 1 < n ? String(Number(cursor) + 1) : null,
		...(cursor === "0" ? { rows: n } : {}),
	});

beforeAll(async () => {
	const sender = stub(files, {
		send({ params }: { params: { format: string; cursor?: string } }) {
			requests.push(params);
			return part(params.cursor);
		},
	} as never);
	shop = await startShop({ services: ["api"], stubs: [...stubbedServices(), sender] });
	admin = token(shop.env, "admin");
});
beforeEach(() => {
	requests = [];
	part = parts(3);
});
afterAll(() => shop?.stop());

test("sends the parts of a file in order", async () => {
	const { status, headers, body } = await shop.http("GET /api/files", { token: admin });
	expect([status, body]).toEqual([200, "line\nline\nline\n"]);
	expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
	expect(headers.get("content-disposition")).toBe('attachment; filename="things.csv"');
	expect(headers.get("x-total-count")).toBe("3");
	expect(requests.map(({ cursor }) => cursor)).toEqual([undefined, "1", "2"]);
});

test("sends the requested format, and only the head to HEAD", async () => {
	const target = "/api/files?format=ndjson";
	const { status, headers, body } = await shop.http(`HEAD ${target}`, { token: admin });
	expect([status, headers.get("content-type"), body]).toEqual([200, "application/x-ndjson", ""]);
	expect(requests).toEqual([{ format: "ndjson" }]);
	expect((await shop.http("GET /api/files?format=xml", { token: admin })).status).toBe(422);
});

test("responds with a problem if the first part fails, closes if a later one does", async () => {
	part = async () => {
		throw new Error("secret");
	};
	expect((await shop.http("GET /api/files", { token: admin })).status).toBe(500);
	part = async (cursor) => (cursor ? Promise.reject(new Error("secret")) : parts(3)(cursor));
	await expect(shop.http("GET /api/files", { token: admin })).rejects.toThrow();
});

test("requests no more parts than the client reads", async () => {
	part = parts(1000, "x".repeat(1024 * 1024));
	const headers = { authorization: `Bearer ${admin}` };
	const req = request(`${shop.url}/api/files`, { headers }, (res) => res.pause());
	req.on("error", () => undefined).end();
	const before = () => requests.length;
	await eventually(() => expect(requests.length).toBeGreaterThan(0));
	let seen = -1;
	await eventually(() => {
		const same = seen === before();
		seen = before();
		expect(same).toBe(true);
	});
	expect(seen).toBeLessThan(100);
	req.destroy();
});
