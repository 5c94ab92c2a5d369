import { Agent, request } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { expect, test } from "@jest/globals";
import type { Middleware } from "moleculer";
import { StartError } from "../../../lib/process/start-error.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { startShop, stub } from "../../../test/support/shop.ts";
import { products } from "../../products/products.contract.ts";
import { HttpServer } from "./server.ts";

/** A product service whose responses wait until `open` is called. */
function slowCatalogue() {
	let open = () => {};
	let callCount = 0;
	const gate = new Promise<void>((resolve) => {
		open = resolve;
	});
	const schema = stub(products, {
		async list() {
			callCount++;
			await gate;
			return { rows: [], total: 0 };
		},
	});
	return { schema, open, callCount: () => callCount };
}

/** The requests of a test end in this time, also on a busy machine. */
const env = { DRAIN_MS: "60000" };

test("completes requests in flight while stopping, and closes idle connections", async () => {
	const { schema, open, callCount } = slowCatalogue();
	const shop = await startShop({ services: ["api"], stubs: [schema], env });
	const agent = new Agent({ keepAlive: true });
	await new Promise((resolve) =>
		request(`${shop.url}/health/live`, { agent }, (res) => res.resume().on("end", resolve)).end(),
	);
	const idle = Object.values(agent.freeSockets).flat()[0]!;
	const ended = new Promise((resolve) => idle.once("close", resolve));

	const inFlight = shop.http("GET /api/products");
	await eventually(() => expect(callCount()).toBe(1));
	const stopped = shop.stop();
	await ended;
	await expect(shop.http("GET /health/live")).rejects.toThrow();
	open();
	const { status, headers } = await inFlight;
	expect([status, headers.get("connection")]).toEqual([200, "close"]);
	await stopped;
});

test("is not ready but alive while stopping", async () => {
	const { schema, open, callCount } = slowCatalogue();
	const shop = await startShop({ services: ["api"], stubs: [schema], env });
	const gate = Promise.withResolvers<void>();
	// The middleware that was added last stops first, before that of the gateway.
	shop.broker.middlewares.add({ name: "Gate", stopping: () => gate.promise } as Middleware);
	await eventually(async () =>
		expect(await shop.http("GET /health/ready")).toMatchObject({
			status: 200,
			body: { status: "ready" },
		}),
	);
	const inFlight = shop.http("GET /api/products");
	await eventually(() => expect(callCount()).toBe(1));
	const stopped = shop.stop();
	const [ready, live] = await Promise.all([
		shop.http("GET /health/ready"),
		shop.http("GET /health/live"),
	]);
	expect([ready.status, ready.body.status, live.status]).toEqual([503, "not ready", 200]);
	expect(ready.headers.get("retry-after")).toBe("5");
	gate.resolve();
	open();
	expect((await inFlight).status).toBe(200);
	await stopped;
});

test("stops although a request never ends", async () => {
	const { schema, open, callCount } = slowCatalogue();
	const shop = await startShop({ services: ["api"], stubs: [schema] });
	shop.broker.options.tracking!.shutdownTimeout = 200;
	const inFlight = expect(shop.http("GET /api/products")).rejects.toThrow();
	await eventually(() => expect(callCount()).toBe(1));
	await shop.stop();
	await inFlight;
	open();
});

test("names a port that is in use when the start fails", async () => {
	const taken = await new Promise<Server>((resolve) => {
		const server = createServer().listen(0, "127.0.0.1", () => resolve(server));
	});
	const { port } = taken.address() as { port: number };
	await expect(startShop({ services: ["api"], env: { PORT: String(port) } })).rejects.toThrow(
		new StartError(
			`Port ${port} of 127.0.0.1 is already in use: ` +
				"set PORT to another port, or stop the program that uses it",
		),
	);
	await new Promise((resolve) => taken.close(resolve));
});

test.each([
	[{ JWT_SECRET: "" }, "JWT_SECRET is not set"],
	[{ CORS_ORIGINS: "*" }, 'CORS_ORIGINS: "*" is not an origin'],
	[
		{ CORS_ORIGINS: "https://shop.example/path" },
		'CORS_ORIGINS: "https://shop.example/path" is not an origin',
	],
	[{ HOST: "192.0.2.1" }, "Port 0 of 192.0.2.1 is not an address of this machine: set HOST"],
])("does not start with %j, and reports the reason", async (env, reason) => {
	await expect(
		startShop({ services: ["api"], env: env as unknown as Record<string, string> }),
	).rejects.toThrow(reason);
});

test.each([
	["its head", "GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: "],
	["its body", "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n{"],
])("closes a connection that sends %s a byte at a time", async (_what, beginning) => {
	const listener = new HttpServer((req) => void req.resume(), undefined, undefined, {
		headersTimeout: 100,
		requestTimeout: 200,
		connectionsCheckingInterval: 20,
	});
	await listener.open("127.0.0.1", 0);
	const socket = connect((listener.server.address() as { port: number }).port, "127.0.0.1");
	let received = "";
	socket.on("data", (chunk) => (received += chunk));
	socket.on("error", () => undefined);
	const closed = new Promise((resolve) => socket.once("close", resolve));
	socket.write(beginning);
	const dripping = setInterval(() => socket.write("x"), 20);
	await closed;
	clearInterval(dripping);
	expect(received).toMatch(/^HTTP\/1\.1 408 /);
	await listener.close(0);
});

const BODY_BYTES = 50;

test("exempts one request from the time limit, but not its connection", async () => {
	let limitAgain = () => {};
	const listener = new HttpServer(
		(req, res) => {
			if (req.url === "/long") limitAgain = listener.withoutTimeLimit(req.socket);
			req.resume().once("end", () => res.end(req.url));
		},
		undefined,
		undefined,
		{ headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 10 },
	);
	await listener.open("127.0.0.1", 0);
	const socket = connect((listener.server.address() as { port: number }).port, "127.0.0.1");
	let received = "";
	socket.on("data", (chunk) => (received += chunk));
	socket.on("error", () => undefined);
	const closed = new Promise((resolve) => socket.once("close", resolve));
	const head = (path: string) =>
		`POST ${path} HTTP/1.1\r\nHost: shop\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`;
	socket.write(head("/long"));
	// Not a byte more than announced: it would be part of the next request.
	let left = BODY_BYTES;
	const dripping = setInterval(() => {
		if (left-- > 0) socket.write("x");
	}, 20);
	await eventually(() => expect(received).toContain("/long"));
	clearInterval(dripping);
	expect(received).toMatch(/^HTTP\/1\.1 200 /);
	limitAgain();
	socket.write(head("/short"));
	await closed;
	expect(received).toContain("HTTP/1.1 408 ");
	await listener.close(0);
});

test("reports a write after the end of a response and keeps running", async () => {
	const errors: Error[] = [];
	const listener = new HttpServer(
		(_req, res) => {
			res.end("whole");
			for (let i = 0; i < 2; i++) res.write("late");
		},
		undefined,
		(_req, error) => void errors.push(error),
	);
	await listener.open("127.0.0.1", 0);
	const response = await fetch(
		`http://127.0.0.1:${(listener.server.address() as { port: number }).port}/`,
	);
	expect(await response.text()).toBe("whole");
	await eventually(() => expect(errors).toHaveLength(2));
	await listener.close(0);
});
