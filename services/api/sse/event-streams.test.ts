import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from "@jest/globals";
import { v7 as uuid } from "uuid";
import { commonError } from "../../../lib/contracts/errors.ts";
import type { EventStreamPage } from "../../../lib/contracts/event-stream.ts";
import { type EventStream, listen } from "../../../test/support/event-stream.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { stubbedServices, token } from "../../../test/support/gateway.ts";
import { type Shop, startShop, stub } from "../../../test/support/shop.ts";
import { orders } from "../../orders/orders.contract.ts";
import type { Gateway } from "../http/exchange.ts";

/**
 * Results of the stubbed orders service: a stream's reads, and the versions that make the gateway
 * read.
 */
let read: (id: string, after: string | undefined) => Promise<EventStreamPage>;
let versions: Map<string, string>;
let reads: string[];
let polls: string[][];
let shop: Shop;
let errors: Error[];
const sockets: Socket[] = [];
const streams: EventStream[] = [];

beforeAll(async () => {
	const slow = stub(orders, {
		async events({ params: { id, after } }) {
			reads.push(id);
			return read(id, after);
		},
		async versions({ params: { ids } }) {
			polls.push(ids);
			return ids.map((id) => versions.get(id) ?? "1");
		},
	});
	shop = await startShop({
		services: ["api"],
		stubs: [...stubbedServices().filter(({ name }) => name !== "orders"), slow],
	});
	gateway().server.on("request", (_req, res: ServerResponse) =>
		res.on("error", (error) => errors.push(error)),
	);
});
beforeEach(() => {
	[versions, reads, polls, errors] = [new Map(), [], [], []];
	read = async () => nothing;
});
afterEach(async () => {
	jest.restoreAllMocks();
	for (const socket of sockets.splice(0)) socket.destroy();
	for (const stream of streams.splice(0)) stream.close();
	await eventually(() => expect(gateway().listener.inFlight).toBe(0));
	expect(errors).toEqual([]);
});
afterAll(() => shop?.stop());

const gateway = () => shop.broker.getLocalService("api") as unknown as Gateway;
const nothing: EventStreamPage = { events: [], ended: false };
const event = (id: number) => ({
	id: String(id).padStart(19, "0"),
	type: "order.changed",
	data: {},
});
const open = async (bearer: string, id = uuid()): Promise<EventStream> => {
	const stream = await listen(`${shop.url}/api/orders/${id}/events`, { token: bearer });
	streams.push(stream);
	return stream;
};
/**
 * A connection that requests several event streams, one after the other or at once, and waits for
 * no response.
 */
function pipeline(ids: readonly string[], bearer = token(shop.env)) {
	const socket = connect(Number(new URL(shop.url).port), "127.0.0.1");
	sockets.push(socket);
	let text = "";
	socket.on("data", (chunk) => (text += chunk));
	socket.on("error", () => undefined);
	const request = (id: string) =>
		`GET /api/orders/${id}/events HTTP/1.1\r\nHost: shop\r\n` +
		`Authorization: Bearer ${bearer}\r\n\r\n`;
	const more = (ids: readonly string[]) => socket.write(ids.map(request).join(""));
	more(ids);
	return { socket, more, text: () => text };
}
const poll = async (times: number) => {
	const from = polls.length;
	await eventually(() => expect(polls.length).toBeGreaterThanOrEqual(from + times));
};

test("writes nothing to an ended stream that waits behind a pipelined one", async () => {
	const [open, finished] = [uuid(), uuid()];
	read = async (id) => (id === finished ? { events: [event(1)], ended: true } : nothing);
	const { text } = pipeline([open, finished]);
	await eventually(() => expect(reads).toContain(finished));
	await poll(2);
	// Heartbeats are due now.
	const now = Date.now();
	jest.spyOn(Date, "now").mockReturnValue(now + 16_000);
	await eventually(() => expect(text()).toContain("\n:\n\n"));
	await poll(2);
	expect(polls.flat()).not.toContain(finished);
	expect(reads.filter((id) => id === finished)).toHaveLength(1);
	expect(errors).toEqual([]);
});

test("releases the slot of an ended stream that waits for its connection", async () => {
	const bearer = token(shop.env);
	const first = uuid();
	read = async (id) => (id === first ? nothing : { events: [event(1)], ended: true });
	const { more } = pipeline([first], bearer);
	for (let requested = 1; requested <= 12; requested++) {
		await eventually(() => expect(new Set(reads).size).toBe(requested));
		more([uuid()]);
	}
	await eventually(() => expect(new Set(reads).size).toBe(13));
	expect((await open(bearer)).status).toBe(200);
});

test("accepts ten of 60 streams that one user opens in parallel", async () => {
	const bearer = token(shop.env);
	const opened = await Promise.all(Array.from({ length: 60 }, () => open(bearer)));
	const count = (status: number) => opened.filter((stream) => stream.status === status).length;
	expect([count(200), count(429)]).toEqual([10, 50]);
	expect((await open(token(shop.env))).status).toBe(200);
});

test("counts the streams of guests by order, whatever the case of its ID", async () => {
	const headers = { "Order-Token": "secret" };
	const listenTo = async (id: string) => {
		const stream = await listen(`${shop.url}/api/orders/${id}/events`, { headers });
		streams.push(stream);
		return stream.status;
	};
	const [busy, other] = [uuid(), uuid()];
	const ids = Array.from({ length: 11 }, (_, i) => (i % 2 ? busy.toUpperCase() : busy));
	expect((await Promise.all(ids.map(listenTo))).sort()).toEqual([...Array(10).fill(200), 429]);
	expect(await listenTo(other)).toBe(200);
});

test("releases the slot of a stream that fails or has no events", async () => {
	const bearer = token(shop.env);
	const statuses = async () =>
		(await Promise.all(Array.from({ length: 10 }, () => open(bearer)))).map(({ status }) => status);
	read = async () => Promise.reject(commonError("SERVICE_UNAVAILABLE"));
	expect(new Set(await statuses())).toEqual(new Set([503]));
	read = async () => ({ events: [], ended: true });
	expect(new Set(await statuses())).toEqual(new Set([204]));
	const head = () => shop.http(`HEAD /api/orders/${uuid()}/events`, { token: bearer });
	read = async () => nothing;
	for (let i = 0; i < 11; i++) expect((await head()).status).toBe(200);
	expect(new Set(await statuses())).toEqual(new Set([200]));
});

test("releases the slot of a client that disconnects during the first load", async () => {
	const bearer = token(shop.env);
	const gate = Promise.withResolvers<void>();
	read = () => gate.promise.then(() => nothing);
	const ids = Array.from({ length: 10 }, () => uuid());
	const connections = ids.map((id) => pipeline([id], bearer).socket);
	await eventually(() => expect(reads).toHaveLength(10));
	for (const socket of connections) socket.destroy();
	await eventually(() => expect(gateway().listener.inFlight).toBe(0));
	gate.resolve();
	read = async () => nothing;
	const other = uuid();
	expect((await open(bearer, other)).status).toBe(200);
	await poll(2);
	expect(new Set(polls.flat())).toEqual(new Set([other]));
});

test("retries a failing stream with backoff, without affecting other streams", async () => {
	const [broken, slow, healthy] = [uuid(), uuid(), uuid()];
	const opened = [
		await open(token(shop.env), broken),
		await open(token(shop.env), slow),
		await open(token(shop.env), healthy),
	];
	await poll(2);
	const gate = Promise.withResolvers<void>();
	read = async (id, after) => {
		if (id === broken) throw commonError("INTERNAL_ERROR");
		if (id === slow) await gate.promise;
		return { events: [event(1), event(2)].filter((one) => one.id > (after ?? "")), ended: false };
	};
	reads = [];
	const begun = Date.now();
	for (const id of [broken, slow, healthy]) versions.set(id, "2");
	await eventually(() => expect(opened[2]!.messages).toHaveLength(2));
	await poll(3);
	gate.resolve();
	await eventually(() => expect(opened[1]!.messages).toHaveLength(2));
	await poll(12);
	for (const stream of opened.slice(1))
		expect(stream.messages.map(({ id }) => id)).toEqual([event(1).id, event(2).id]);
	const count = (id: string) => reads.filter((one) => one === id).length;
	expect([count(slow), count(healthy)]).toEqual([1, 1]);
	expect(count(broken)).toBeGreaterThanOrEqual(2);
	// The pauses are at least 400, 800, 1600, … ms.
	expect(count(broken)).toBeLessThanOrEqual(1 + Math.log2(1 + (Date.now() - begun) / 400));
	read = async () => ({ events: [event(1)], ended: true });
	await eventually(() => expect(opened[0]!.messages).toMatchObject([{ id: event(1).id }]));
});

test("ends a stream when its client loses access", async () => {
	const id = uuid();
	const stream = await open(token(shop.env), id);
	read = async () => Promise.reject(commonError("FORBIDDEN"));
	versions.set(id, "2");
	await stream.ended;
	expect(stream.messages).toEqual([{ comment: expect.stringContaining("no longer accessible") }]);
});

test("keeps the stream of a guest who also sends an access token that is not valid", async () => {
	const id = uuid();
	const stream = await listen(`${shop.url}/api/orders/${id}/events`, {
		token: "outdated",
		headers: { "Order-Token": "secret" },
	});
	streams.push(stream);
	read = async () => ({ events: [event(1)], ended: true });
	versions.set(id, "2");
	await stream.ended;
	expect(stream.messages).toMatchObject([{ id: event(1).id }]);
});
