import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { cacheOf, provideCache } from "../caching/lease-cache.ts";
import { StartError } from "../process/start-error.ts";
import { openHealthListener } from "./health-listener.ts";
import { addProbe } from "./probes.ts";

const HOST = "127.0.0.1";
let broker: ServiceBroker;
let close: () => void;
let port: number;

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}
async function ask(path: string) {
	const response = await fetch(`http://${HOST}:${port}${path}`);
	return { status: response.status, body: await response.json() };
}

beforeEach(async () => {
	broker = new ServiceBroker({ logger: false });
	port = await freePort();
	close = await openHealthListener(broker, HOST, port);
});
afterEach(async () => {
	close();
	await broker.stop();
});

test("a node is alive all the time, and ready from its start to its end", async () => {
	const notReady = { status: 503, body: { status: "not ready", failing: [] } };
	expect(await ask("/health/ready")).toEqual(notReady);
	expect((await ask("/health/live")).status).toBe(200);
	await broker.start();
	expect(await ask("/health/ready")).toEqual({
		status: 200,
		body: { status: "ready", failing: [] },
	});
	await broker.stop();
	expect(await ask("/health/ready")).toEqual(notReady);
	expect((await ask("/health/live")).status).toBe(200);
});

test("a node is ready only while everything that it stands on answers", async () => {
	let up = true;
	const shelf = broker.createService({ name: "shelf" });
	addProbe(shelf, "postgres", async () => {
		if (!up) throw new Error("gone");
	});
	await broker.start();
	expect((await ask("/health/ready")).status).toBe(200);
	up = false;
	expect(await ask("/health/ready")).toEqual({
		status: 503,
		body: { status: "not ready", failing: ["shelf"] },
	});
	up = true;
	expect((await ask("/health/ready")).status).toBe(200);
});

test("servers that are lost are named, whatever their clients think of the connection", async () => {
	await broker.start();
	const lost = () => Promise.reject(new Error("gone"));
	Object.assign(broker, { transit: { tx: { client: { flush: lost } } } });
	provideCache(broker, { ...cacheOf(broker), ping: lost });
	const { status, body } = await ask("/health/ready");
	Object.assign(broker, { transit: undefined });
	expect({ status, body }).toEqual({
		status: 503,
		body: { status: "not ready", failing: ["nats", "redis"] },
	});
});

test("nothing else is answered", async () => {
	expect((await ask("/health")).status).toBe(404);
	expect((await ask("/constructor")).status).toBe(404);
	expect((await fetch(`http://${HOST}:${port}/health/live`, { method: "POST" })).status).toBe(404);
});

test("a port that is taken is named in one line", async () => {
	const error = await openHealthListener(broker, HOST, port).catch((reason) => reason);
	expect(error).toBeInstanceOf(StartError);
	expect(error.message).toMatch(new RegExp(`^HEALTH_PORT ${port} of ${HOST} `));
});

test("a page that fails is answered with 500, and the listener goes on", async () => {
	await broker.start();
	const works = cacheOf(broker);
	const fail = () => {
		throw new Error("on purpose");
	};
	provideCache(broker, { ...works, ping: fail });
	expect(await ask("/health/ready")).toEqual({ status: 500, body: { status: "failed" } });
	provideCache(broker, works);
	expect((await ask("/health/ready")).status).toBe(200);
});

test("its figures are told in Prometheus' format", async () => {
	broker.createService({
		name: "shelf",
		actions: {
			eventFigures: () => ({
				backlog: 2,
				lag_seconds: 0.5,
				retries: 0,
				dead_letters: 1,
				pending: 3,
			}),
		},
	});
	await broker.start();
	const response = await fetch(`http://${HOST}:${port}/metrics`);
	expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4");
	const text = await response.text();
	expect(text).toContain('shop_outbox_lag_seconds{service="shelf"} 0.5\n');
	expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
});
