import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, test } from "@jest/globals";
import { sendJson, sendProblem, startServer, type TestServer } from "../test/server.ts";
import { type Client, createClient, isProblem, NetworkError } from "./index.ts";

const order = { id: "o1", status: "confirmed" };
const items = [{ product_id: "p1", quantity: 1 }];
const soon = { headers: { "retry-after": "0" } };
let server: TestServer;
afterEach(() => server?.stop());

/** Starts a server that responds in these ways, one after another; the last way remains. */
async function clientOf(...ways: ((response: ServerResponse) => unknown)[]): Promise<Client> {
	server = await startServer((_, response, earlier) =>
		ways[Math.min(earlier, ways.length - 1)]!(response),
	);
	return createClient({ url: server.url });
}
const failure = (promise: PromiseLike<unknown>): Promise<unknown> =>
	Promise.resolve(promise).then(
		(value) => {
			throw new Error(`No error, but ${JSON.stringify(value)}`);
		},
		(error: unknown) => error,
	);
const succeed = (response: ServerResponse) => sendJson(response, 201, order);
const loseConnection = (response: ServerResponse) => response.destroy();

describe("a request is repeated", () => {
	test("with the same idempotency key after 503, 429 and a lost connection", async () => {
		const shop = await clientOf(
			(response) => sendProblem(response, 503, "SERVICE_UNAVAILABLE", soon),
			(response) => sendProblem(response, 429, "RATE_LIMITED", soon),
			loseConnection,
			succeed,
		);
		expect(await shop.orders.create({ items })).toEqual(order);
		const keys = server.requests.map(({ headers }) => headers["idempotency-key"]);
		expect(keys).toHaveLength(4);
		expect(new Set(keys).size).toBe(1);
		expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
	});

	test("when the response ends before its body is complete", async () => {
		const shop = await clientOf((response) => {
			response.writeHead(201, { "content-length": "100" });
			response.write('{"id":');
			setImmediate(() => response.destroy());
		}, succeed);
		expect(await shop.orders.create({ items })).toEqual(order);
		expect(server.requests).toHaveLength(2);
	});

	test("when no response arrives within the timeout", async () => {
		const shop = await clientOf(() => undefined, succeed);
		expect(await shop.orders.create({ items }, { timeout: 1000 })).toEqual(order);
		expect(server.requests.length).toBeGreaterThan(1);
	});

	test("while its own lost attempt still runs", async () => {
		const running = (response: ServerResponse) =>
			sendProblem(response, 409, "IDEMPOTENCY_KEY_IN_USE");
		const shop = await clientOf(loseConnection, running, succeed);
		expect(await shop.orders.create({ items })).toEqual(order);
	});

	test("at most as often as allowed", async () => {
		const shop = await clientOf(loseConnection);
		const error = await failure(shop.with({ attempts: 2 }).orders.create({ items }));
		expect(error).toBeInstanceOf(NetworkError);
		expect(error).toMatchObject({ attempts: 2, message: "POST /orders failed" });
		expect(server.requests).toHaveLength(2);
	});

	test("if it is a conditional change only after 429, which has no effect", async () => {
		const shop = await clientOf(
			(response) => sendProblem(response, 429, "RATE_LIMITED", soon),
			loseConnection,
		);
		const change = shop.products.update({ id: "p1", price: 2 }, { ifMatch: '"v1"' });
		expect(await failure(change)).toBeInstanceOf(NetworkError);
		expect(server.requests).toHaveLength(2);
		expect(server.requests[1]!.headers["if-match"]).toBe('"v1"');
	});
});

describe("a request is not repeated", () => {
	test("after a conclusive failure", async () => {
		const shop = await clientOf((response) =>
			sendProblem(response, 409, "OUT_OF_STOCK", { order_id: "o1" }),
		);
		const error = await failure(shop.orders.create({ items }));
		expect(isProblem(error, "OUT_OF_STOCK")).toBe(true);
		expect(isProblem(error, "PAYMENT_DECLINED")).toBe(false);
		expect(error).toMatchObject({ status: 409, request_id: "r1", data: { order_id: "o1" } });
		expect(server.requests).toHaveLength(1);
	});

	test("if the idempotency key of another request is in use", async () => {
		const shop = await clientOf((response) => sendProblem(response, 409, "IDEMPOTENCY_KEY_IN_USE"));
		const error = await failure(shop.orders.create({ items }, { idempotencyKey: "k" }));
		expect(isProblem(error, "IDEMPOTENCY_KEY_IN_USE")).toBe(true);
		expect(server.requests).toHaveLength(1);
	});

	test("if the server requests a longer pause than a caller can wait", async () => {
		const headers = { "retry-after": "60" };
		const shop = await clientOf((response) =>
			sendProblem(response, 429, "RATE_LIMITED", { headers }),
		);
		const error = await failure(shop.orders.create({ items }));
		expect(isProblem(error, "RATE_LIMITED") && error.headers.get("retry-after")).toBe("60");
		expect(server.requests).toHaveLength(1);
	});

	test("after its signal is aborted, also while it waits for the next attempt", async () => {
		const stop = new AbortController();
		const shop = await clientOf((response) => {
			sendProblem(response, 503, "SERVICE_UNAVAILABLE", { headers: { "retry-after": "20" } });
			response.once("close", () => setImmediate(() => stop.abort("left the page")));
		});
		const { signal } = stop;
		expect(await failure(shop.products.get({ id: "p1" }, { signal }))).toBe("left the page");
		expect(await failure(shop.products.get({ id: "p1" }, { signal }))).toBe("left the page");
		expect(server.requests).toHaveLength(1);
	});
});

describe("a response of another program", () => {
	test("without a problem document has the code UNKNOWN", async () => {
		const shop = await clientOf((response) => response.writeHead(404).end("<h1>Not here</h1>"));
		const error = await failure(shop.products.get({ id: "p1" }));
		expect(isProblem(error, "UNKNOWN") && error.detail).toBe("The shop responded with 404");
	});

	test("that is not JSON is reported with a hint at the address", async () => {
		const shop = await clientOf((response) => response.end("<h1>Welcome</h1>"));
		const error = await failure(shop.products.get({ id: "p1" }));
		expect(isProblem(error, "UNKNOWN") && error.detail).toContain("check the address");
	});
});

test.each(["127.0.0.1:3000", "localhost:3000", "", undefined])(
	"the address %j is rejected outside of a page",
	(url) => {
		expect(() => createClient(url === undefined ? {} : { url })).toThrow(/must be the address/);
	},
);

test("an invalid header is reported before a request is sent", async () => {
	const shop = await clientOf(succeed);
	const error = await failure(
		shop.products.update({ id: "p1", price: 2 }, { ifMatch: '"v1"\nx: y' }),
	);
	expect(error).toBeInstanceOf(TypeError);
	expect(server.requests).toHaveLength(0);
});

test("the status, headers and ETag of a response are available", async () => {
	const headers = { etag: '"v7"', "idempotent-replayed": "true", "x-process-time": "3" };
	const shop = await clientOf((response) => sendJson(response, 202, order, headers));
	const response = await shop.orders.create({ items }, { respondAsync: true }).withResponse();
	expect(response).toMatchObject({ value: order, status: 202, etag: '"v7"', replayed: true });
	expect(response.headers.get("x-process-time")).toBe("3");
	expect(server.requests[0]!.headers.prefer).toBe("respond-async");
});
