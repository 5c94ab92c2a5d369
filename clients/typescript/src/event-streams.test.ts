import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, test } from "@jest/globals";
import { type Received, sendProblem, startServer, type TestServer } from "../test/server.ts";
import { type Client, createClient } from "./index.ts";

let server: TestServer;
afterEach(() => server?.stop());

type Connection = (response: ServerResponse, request: Received) => unknown;
/** Starts a server that handles the connections in these ways, one after another. */
async function clientOf(...ways: Connection[]): Promise<Client> {
	server = await startServer((request, response, earlier) => ways[earlier]!(response, request));
	return createClient({ url: server.url });
}
const head = (response: ServerResponse): ServerResponse =>
	response.writeHead(200, { "content-type": "text/event-stream" });
const event = (id: number, type = "order.created") =>
	`id: ${id}\nevent: ${type}\ndata: {"order_id":"o${id}"}\n\n`;
/** Sends events and then ends in some way. */
const sends =
	(text: string, end: (response: ServerResponse) => unknown): Connection =>
	(response) => {
		head(response).write(`retry: 1\n\n${text}`, () => end(response));
	};
const noMore: Connection = (response) => response.writeHead(204).end();
const cut = (response: ServerResponse) => response.destroy();
const idsOf = async (events: AsyncIterable<{ id: string }>): Promise<string[]> => {
	const ids: string[] = [];
	for await (const { id } of events) ids.push(id);
	return ids;
};
const resumptions = () => server.requests.map(({ headers }) => headers["last-event-id"]);

describe("an event stream", () => {
	test("resumes after its last complete event when the connection is cut", async () => {
		const shop = await clientOf(
			sends(`${event(1)}${event(2)}id: 3\nevent: order.conf`, cut),
			sends(event(3, "order.confirmed"), (response) => response.end()),
			noMore,
		);
		const received: object[] = [];
		for await (const { id, type, data } of shop.orders.events({ id: "o1" }))
			received.push({ id, type, data });
		expect(received).toEqual([
			{ id: "1", type: "order.created", data: { order_id: "o1" } },
			{ id: "2", type: "order.created", data: { order_id: "o2" } },
			{ id: "3", type: "order.confirmed", data: { order_id: "o3" } },
		]);
		expect(resumptions()).toEqual([undefined, "2", "3"]);
	});

	test("begins after a given event", async () => {
		const shop = await clientOf(noMore);
		expect(await idsOf(shop.orders.events({ id: "o1", after: "41" }))).toEqual([]);
		expect(resumptions()).toEqual(["41"]);
		expect(server.requests[0]).toMatchObject({
			path: "/api/orders/o1/events",
			headers: { accept: "text/event-stream" },
		});
	});

	test("resumes after outages, and reports its state", async () => {
		const states: string[] = [];
		const soon = { headers: { "retry-after": "0" } };
		const shop = await clientOf(
			sends(event(1), cut),
			cut,
			(response) => sendProblem(response, 503, "SERVICE_UNAVAILABLE", soon),
			sends(event(2), (response) => response.end()),
			noMore,
		);
		const onConnection = (state: string) => void states.push(state);
		expect(await idsOf(shop.orders.events({ id: "o1" }, { onConnection }))).toEqual(["1", "2"]);
		expect(states).toEqual(["open", "lost", "lost", "lost", "open", "lost"]);
	});

	test("resumes when the server is silent", async () => {
		const shop = await clientOf(
			sends(event(1), () => undefined),
			noMore,
		);
		expect(await idsOf(shop.orders.events({ id: "o1" }, { silence: 50 }))).toEqual(["1"]);
		expect(resumptions()).toEqual([undefined, "1"]);
	});

	test.each([
		["at first", 0],
		["later", 1],
	])("fails if its events are not accessible %s", async (_, earlier) => {
		const gone: Connection = (response) => sendProblem(response, 404, "ORDER_NOT_FOUND");
		const shop = await clientOf(...[sends(event(1), cut)].slice(0, earlier), gone);
		const events = idsOf(shop.orders.events({ id: "o1" }));
		await expect(events).rejects.toMatchObject({ code: "ORDER_NOT_FOUND" });
	});

	test("fails if it cannot be opened in several attempts", async () => {
		const shop = await clientOf(cut, cut);
		const events = idsOf(shop.orders.events({ id: "o1" }, { attempts: 2 }));
		await expect(events).rejects.toMatchObject({ name: "NetworkError", attempts: 2 });
	});

	test("is closed when its loop is left", async () => {
		const closed = Promise.withResolvers<unknown>();
		const shop = await clientOf((response) => {
			closed.resolve(once(response, "close"));
			sends(event(1), () => undefined)(response, server.requests[0]!);
		});
		for await (const { id } of shop.orders.events({ id: "o1" })) {
			expect(id).toBe("1");
			break;
		}
		await closed.promise;
	});

	test("ends with the reason of an aborted signal, also while it waits for events", async () => {
		const stop = new AbortController();
		const shop = await clientOf(
			sends(event(1), (response) => {
				stop.abort("left the page");
				return once(response, "close");
			}),
		);
		const events = idsOf(shop.orders.events({ id: "o1" }, { signal: stop.signal }));
		await expect(events).rejects.toBe("left the page");
	});
});
