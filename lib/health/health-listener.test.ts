import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { freePort } from "../../test/support/processes.ts";
import { cacheOf, provideCache } from "../caching/lease-cache.ts";
import { StartError } from "../process/start-error.ts";
import { openHealthListener } from "./health-listener.ts";
import { addProbe } from "./probes.ts";

const HOST = "127.0.0.1";
let broker: ServiceBroker;
let close: () => void;
let port: number;

async function get(path: string) {
	const response = await fetch(`http://${HOST}:${port}${path}`);
	const retry_after = response.headers.get("retry-after");
	return { status: response.status, body: await response.json(), retry_after };
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

test("a node is live all the time, and ready between start and stop", async () => {
	const body = { status: "not ready", failing: [] };
	const notReady = { status: 503, body, retry_after: "5" };
	expect(await get("/health/ready")).toEqual(notReady);
	expect((await get("/health/live")).status).toBe(200);
	await broker.start();
	expect(await get("/health/ready")).toEqual({
		status: 200,
		body: { status: "ready", failing: [] },
		retry_after: null,
	});
	await broker.stop();
	expect(await get("/health/ready")).toEqual(notReady);
	expect((await get("/health/live")).status).toBe(200);
});

test("a node is ready only while all its dependencies respond", async () => {
	let up = true;
	const shelf = broker.createService({ name: "shelf" });
	addProbe(shelf, "postgres", async () => {
		if (!up) throw new Error("gone");
	});
	await broker.start();
	expect((await get("/health/ready")).status).toBe(200);
	up = false;
	expect(await get("/health/ready")).toMatchObject({
		status: 503,
		body: { status: "not ready", failing: ["shelf"] },
	});
	up = true;
	expect((await get("/health/ready")).status).toBe(200);
});

test("readiness lists lost servers although their clients report a connection", async () => {
	await broker.start();
	const lost = () => Promise.reject(new Error("gone"));
	provideCache(broker, { ...cacheOf(broker), ping: lost });
	const withoutRedis = [await get("/health/ready"), await get("/health/serving")];
	Object.assign(broker, { transit: { tx: { client: { flush: lost } } } });
	const withoutBoth = [await get("/health/ready"), await get("/health/serving")];
	Object.assign(broker, { transit: undefined });
	expect(withoutRedis).toMatchObject([
		{ status: 503, body: { status: "not ready", failing: ["redis"] } },
		{ status: 200, body: { status: "serving", failing: ["redis"] } },
	]);
	expect(withoutBoth).toMatchObject([
		{ status: 503, body: { status: "not ready", failing: ["nats", "redis"] } },
		{ status: 503, body: { status: "not serving", failing: ["nats", "redis"] } },
	]);
});

test("other paths and methods respond with 404", async () => {
	expect((await get("/health")).status).toBe(404);
	expect((await get("/constructor")).status).toBe(404);
	expect((await fetch(`http://${HOST}:${port}/health/live`, { method: "POST" })).status).toBe(404);
});

test("a port in use fails the start with one line", async () => {
	const error = await openHealthListener(broker, HOST, port).catch((reason) => reason);
	expect(error).toBeInstanceOf(StartError);
	expect(error.message).toMatch(new RegExp(`^Cannot listen on HEALTH_PORT ${port} of ${HOST} `));
});

test("a failing endpoint responds with 500, and the listener continues", async () => {
	await broker.start();
	const works = cacheOf(broker);
	const fail = () => {
		throw new Error("on purpose");
	};
	provideCache(broker, { ...works, ping: fail });
	expect(await get("/health/ready")).toMatchObject({ status: 500, body: { status: "failed" } });
	provideCache(broker, works);
	expect((await get("/health/ready")).status).toBe(200);
});

test("/metrics returns the metrics of the node in the format of Prometheus", async () => {
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
