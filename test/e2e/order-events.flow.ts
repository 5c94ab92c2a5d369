import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import { createClient, type ParamsOf, type ResultOf } from "../../clients/typescript/src/index.ts";
import { type Customer, makeProduct, placeOrder, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { listen } from "../support/event-stream.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, useShop } from "./shape.ts";

export const orderEvents: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	let customer: Customer;
	let product: { id: string };
	useShop(open, async (...started) => {
		[shop, admin] = started;
		customer = await register(shop);
		product = await makeProduct(shop, admin, { stock: 100 });
	});

	const place = async (buyer = customer): Promise<string> =>
		(await placeOrder(shop, buyer, product)).body.id;
	async function placeUndeliverable(): Promise<string> {
		const overrides = { shipping_address: "Undeliverable 1" };
		const { status, body } = await placeOrder(shop, customer, product, overrides);
		expect(status).toBe(409);
		return body.order_id;
	}
	const timelineOf = (id: string): Promise<ResultOf<"orders.timeline">> =>
		clientOf(shop, customer).orders.timeline({ id });
	/**
	 * Uses the last gateway, so that with two gateways streams of the first receive remote events.
	 */
	const act = (id: string, command: "ship" | "deliver", headers = {}) =>
		clientOf(shop.gateways.at(-1)!, admin).orders[command]({ id }, { headers });

	/** Follows an order with the client, whose next connection is to the next gateway. */
	function follow(params: ParamsOf<"orders.events">) {
		const events: { id: string; type: string; data: unknown }[] = [];
		const connections: [status: number, type: string | null][] = [];
		const stop = new AbortController();
		const client = createClient({
			url: "http://shop.invalid",
			accessToken: customer.token,
			attempts: 1,
			async fetch(url, init) {
				const gateway = shop.gateways[connections.length % shop.gateways.length]!;
				const response = await fetch(gateway.url + new URL(String(url)).pathname, init);
				connections.push([response.status, response.headers.get("content-type")]);
				return response;
			},
		});
		const read = async () => {
			const { signal } = stop;
			for await (const event of client.orders.events(params, { signal })) events.push(event);
		};
		const ended = read();
		ended.catch(() => undefined);
		const types = () => events.map(({ type }) => type);
		return { events, types, connections, ended, stop: () => stop.abort() };
	}
	let turn = 0;
	/** Opens a stream at the next gateway. */
	const watch = (id: string, token = customer.token) => watchAt(turn++, id, { token });
	const watchAt = (gateway: number, id: string, { token } = { token: customer.token }) =>
		listen(`${shop.gateways[gateway % shop.gateways.length]!.url}/api/orders/${id}/events`, {
			token,
		});

	test("a stream delivers events and ends when the order is final", async () => {
		const id = await place();
		const stream = follow({ id });
		await eventually(() => expect(stream.types()).toEqual(["order.created", "order.confirmed"]));
		await act(id, "ship");
		await eventually(() => expect(stream.types()).toContain("order.shipped"));
		await act(id, "deliver");
		await stream.ended;
		expect(stream.types()).toEqual([
			"order.created",
			"order.confirmed",
			"order.shipped",
			"order.delivered",
		]);
		expect(stream.events.at(-1)!.data).toMatchObject({
			order_id: id,
			user_id: customer.id,
			time: expect.any(String),
		});
		// The second connection reports that no event will follow.
		expect(stream.connections).toEqual([
			[200, "text/event-stream"],
			[204, null],
		]);
	});

	test("an interrupted stream resumes after its last event, also at another gateway", async () => {
		const id = await place();
		const first = await watch(id);
		const ids = () => first.messages.flatMap(({ id }) => id ?? []);
		await eventually(() => expect(ids()).toHaveLength(2));
		first.close();
		await act(id, "ship");
		const second = follow({ id, after: ids()[1]! });
		await eventually(() => expect(second.types()).toEqual(["order.shipped"]));
		const third = follow({ id, after: ids()[0]! });
		await eventually(() => expect(third.types()).toEqual(["order.confirmed", "order.shipped"]));
		for (const stream of [second, third]) stream.stop();
		const resume = (position: string, headers = {}) =>
			shop.http(`GET /api/orders/${id}/events${position}`, { token: customer.token, headers });
		for (const position of ["' or 1=1", "-1", "9".repeat(19), "9".repeat(23)]) {
			expect((await resume("", { "last-event-id": position })).body).toMatchObject({
				status: 400,
				code: "BAD_HEADER",
				detail: "Last-Event-ID takes the ID of an event of this stream",
			});
			expect((await resume(`?after=${encodeURIComponent(position)}`)).body).toMatchObject({
				status: 422,
				errors: [{ field: "after" }],
			});
		}
	});

	test("streams require the owner or an admin, and a user may open ten per gateway", async () => {
		const id = await place();
		const otherUser = await register(shop);
		expect((await watch(id, otherUser.token)).status).toBe(404);
		const streams = await Promise.all(Array.from({ length: 10 }, () => watchAt(0, id)));
		expect(streams.map(({ status }) => status)).toEqual(Array(10).fill(200));
		expect((await watchAt(0, id)).status).toBe(429);
		const adminStream = await watchAt(0, id, admin);
		expect(adminStream.status).toBe(200);
		streams[0]!.close();
		const another = await eventually(async () => {
			const stream = await watchAt(0, id);
			expect(stream.status).toBe(200);
			return stream;
		});
		for (const stream of [...streams, adminStream, another]) stream.close();
	});

	test("a stream ends when its access token is revoked", async () => {
		const owner = await register(shop);
		const stream = await watch(await place(owner), owner.token);
		expect(stream.status).toBe(200);
		await clientOf(shop, admin).users.remove({ id: owner.id });
		await stream.ended;
		expect(stream.messages.at(-1)!.comment).toContain("access token");
	});

	test("the timeline lists steps, events, compensations and messages by time", async () => {
		const id = await placeUndeliverable();
		const found = await eventually(async () => {
			const timeline = await timelineOf(id);
			expect(timeline.entries.map(({ name }) => name)).toContain("order_cancelled");
			return timeline;
		});
		expect(found).toMatchObject({
			order_id: id,
			status: "cancelled",
			attempts: expect.any(Number),
			incomplete: [],
		});
		const entries = found.entries
			.filter(({ kind }) => kind !== "retry")
			.map(({ source, kind, name }) => `${source} ${kind} ${name}`);
		expect(new Set(entries)).toEqual(
			new Set([
				"orders event order.created",
				"inventory step inventory.reserved",
				"payments step payment.captured",
				"payments compensation payment.refunded",
				"inventory compensation inventory.released",
				"orders event order.cancelled",
				"notifications message order_cancelled",
			]),
		);
		const times = found.entries.map(({ time }) => time);
		expect(times).toEqual([...times].sort());
		expect(found.entries[0]!.name).toBe("order.created");
	});

	test("the creation of an order precedes its reservation, whose event may be older", async () => {
		const id = await placeUndeliverable();
		await shop.databases.query(
			"orders",
			`update outbox set time = time + interval '1 minute'
			where subject = $1 and type = 'order.created'`,
			[id],
		);
		expect((await timelineOf(id)).entries[0]).toMatchObject({ name: "order.created" });
	});

	test("the timeline contains the number of retries of an event but not their errors", async () => {
		const id = await place();
		const alterMessages = (command: string) =>
			shop.databases.query("notifications", `alter table messages ${command}`);
		const retries = async () => {
			const timeline = await timelineOf(id);
			expect(JSON.stringify(timeline)).not.toContain("no_news");
			return timeline.entries.filter(({ kind }) => kind === "retry");
		};
		const trace_id = randomBytes(16).toString("hex");
		const retry = {
			source: "notifications",
			name: "order.shipped",
			time: expect.any(String),
			trace_id,
		};
		await alterMessages("add constraint no_news check (template <> 'order_shipped') not valid");
		try {
			await act(id, "ship", { traceparent: `00-${trace_id}-00f067aa0ba902b7-01` });
			await eventually(async () =>
				expect((await retries())[0]).toMatchObject({
					...retry,
					detail: { attempt: 1, state: "waiting" },
				}),
			);
		} finally {
			await alterMessages("drop constraint no_news");
		}
		await eventually(async () =>
			expect((await retries())[0]).toMatchObject({
				...retry,
				detail: { attempt: 1, state: "done" },
			}),
		);
	});

	test("the timeline contains each failed call of a saga step", async () => {
		const overrides = { payment_token: "tok_flaky" };
		const { id } = (await placeOrder(shop, customer, product, overrides)).body;
		const retriesFor = async (reader: Customer) => {
			const { entries } = await clientOf(shop, reader).orders.timeline({ id });
			return entries.filter(({ kind, name }) => kind === "retry" && name === "charge");
		};
		const retries = await eventually(async () => {
			const { status } = await clientOf(shop, customer).orders.get({ id });
			expect(status).toBe("confirmed");
			return retriesFor(customer);
		});
		expect(retries.slice(0, 2)).toMatchObject([
			{ source: "orders", detail: { attempt: 1, state: "done" } },
			{ source: "orders", detail: { attempt: 2, state: "done" } },
		]);
		expect(retries[0]!.detail).not.toHaveProperty("error");
		expect((await retriesFor(admin))[0]!.detail).toHaveProperty("error");
	});

	test("the timeline names unavailable services and derives deleted events", async () => {
		const id = await place();
		await shop.databases.query("orders", "delete from outbox where subject = $1", [id]);
		await shop.without("payments", async () => {
			const { incomplete, entries } = await timelineOf(id);
			expect(incomplete).toContain("payments");
			const orders = entries.filter(({ source }) => source === "orders");
			expect(orders.map(({ name }) => name)).toEqual(["order.created", "order.confirmed"]);
		});
	});

	test("a stopping gateway ends its streams without waiting for their orders", async () => {
		const stream = await watchAt(0, await place());
		expect(stream.status).toBe(200);
		await shop.endGateway();
		await stream.ended;
		expect(stream.messages.at(-1)!.comment).toContain("stopping");
	});
};
