import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../support/builders.ts";
import { type EventStream, listen } from "../support/event-stream.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, START_MS } from "./shape.ts";

export const orderEvents: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	let customer: Customer;
	let product: { id: string };
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
		customer = await register(shop);
		product = await makeProduct(shop, admin, { stock: 100 });
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	async function place(overrides: object = {}): Promise<string> {
		const { body: placed } = await placeOrder(shop, customer, product, overrides);
		return placed.id ?? placed.order_id;
	}
	/**
	 * Uses the last gateway, so that with two gateways streams of the first receive remote events.
	 */
	const act = (id: string, command: string, headers = {}) =>
		shop.gateways
			.at(-1)!
			.http(`POST /api/orders/${id}/${command}`, { token: admin.token, headers });
	let turn = 0;
	/** Opens a stream at the next gateway. */
	const watch = (id: string, lastEventId?: string, token = customer.token) =>
		watchAt(turn++, id, { token, ...(lastEventId ? { lastEventId } : {}) });
	const watchAt = (
		gateway: number,
		id: string,
		{ token = customer.token, ...more }: { token?: string; lastEventId?: string } = {},
	) =>
		listen(`${shop.gateways[gateway % shop.gateways.length]!.url}/api/orders/${id}/events`, {
			token,
			...more,
		});
	const names = ({ messages }: EventStream) => messages.flatMap(({ event }) => event ?? []);

	test("a stream delivers events within a second and ends when the order is final", async () => {
		const id = await place();
		const stream = await watchAt(0, id);
		expect([stream.status, stream.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
		await eventually(() => expect(names(stream)).toEqual(["order.created", "order.confirmed"]), 1);
		await act(id, "ship");
		await eventually(() => expect(names(stream)).toContain("order.shipped"), 1);
		await act(id, "deliver");
		await stream.ended;
		expect(names(stream)).toEqual([
			"order.created",
			"order.confirmed",
			"order.shipped",
			"order.delivered",
		]);
		const { data, id: last } = stream.messages.at(-1)!;
		expect(JSON.parse(data!)).toMatchObject({
			order_id: id,
			user_id: customer.id,
			time: expect.any(String),
		});
		expect((await watch(id, last)).status).toBe(204);
	});

	test("an interrupted stream resumes after its last event, also at another gateway", async () => {
		const id = await place();
		const first = await watch(id);
		await eventually(() => expect(names(first)).toHaveLength(2));
		first.close();
		await act(id, "ship");
		const second = await watch(id, first.messages.at(-1)!.id);
		await eventually(() => expect(names(second)).toEqual(["order.shipped"]));
		const third = await watch(id, first.messages[0]!.id);
		await eventually(() => expect(names(third)).toEqual(["order.confirmed", "order.shipped"]));
		for (const stream of [second, third]) stream.close();
		const invalid = await shop.http(`GET /api/orders/${id}/events`, {
			token: customer.token,
			headers: { "last-event-id": "' or 1=1" },
		});
		expect(invalid.status).toBe(422);
	});

	test("streams require the owner's or an admin's token, and a user may open ten per gateway", async () => {
		const id = await place();
		const otherUser = await register(shop);
		expect((await watch(id, undefined, otherUser.token)).status).toBe(404);
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
		const { body } = await placeOrder(shop, owner, product);
		const stream = await watch(body.id, undefined, owner.token);
		expect(stream.status).toBe(200);
		await shop.http(`DELETE /api/users/${owner.id}`, { token: admin.token });
		await stream.ended;
		expect(stream.messages.at(-1)!.comment).toContain("access token");
	});

	test("the timeline lists an order's steps, events, compensations and messages by time", async () => {
		const id = await place({ shipping_address: "Undeliverable 1" });
		const timeline = async () =>
			(await shop.http(`GET /api/orders/${id}/timeline`, { token: customer.token })).body;
		const found = await eventually(async () => {
			const body = await timeline();
			expect(body.entries.map(({ name }: { name: string }) => name)).toContain("order_cancelled");
			return body;
		});
		expect(found).toMatchObject({
			order_id: id,
			status: "cancelled",
			attempts: expect.any(Number),
			incomplete: [],
		});
		const entries = found.entries.map(
			({ source, kind, name }: Record<string, string>) => `${source} ${kind} ${name}`,
		);
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
		const times = found.entries.map(({ time }: { time: string }) => time);
		expect(times).toEqual([...times].sort());
	});

	test("the timeline contains the number of retries of an event but not their errors", async () => {
		const id = await place();
		const alterMessages = (command: string) =>
			shop.databases.query("notifications", `alter table messages ${command}`);
		const retries = async () => {
			const { body } = await shop.http(`GET /api/orders/${id}/timeline`, { token: customer.token });
			expect(JSON.stringify(body)).not.toContain("no_news");
			return body.entries.filter(({ kind }: { kind: string }) => kind === "retry");
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
		await eventually(
			async () =>
				expect((await retries())[0]).toMatchObject({
					...retry,
					detail: { attempt: 1, state: "done" },
				}),
			20,
		);
	}, 60_000);

	test(
		"the timeline names unavailable services and derives deleted events from the order",
		async () => {
			const id = await place();
			await shop.databases.query("orders", "delete from outbox where subject = $1", [id]);
			await shop.without("payments", async () => {
				const { body } = await shop.http(`GET /api/orders/${id}/timeline`, {
					token: customer.token,
				});
				expect(body.incomplete).toContain("payments");
				const orders = body.entries.filter(({ source }: { source: string }) => source === "orders");
				expect(orders.map(({ name }: { name: string }) => name)).toEqual([
					"order.created",
					"order.confirmed",
				]);
			});
		},
		START_MS,
	);

	test(
		"a stopping gateway ends its streams without waiting for their orders",
		async () => {
			const stream = await watchAt(0, await place());
			expect(stream.status).toBe(200);
			await shop.endGateway();
			await stream.ended;
			expect(stream.messages.at(-1)!.comment).toContain("stopping");
		},
		START_MS,
	);
};
