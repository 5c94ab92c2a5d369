import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
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

	async function place(body: object = {}): Promise<string> {
		const order = { items: [{ product_id: product.id, quantity: 1 }], ...body };
		const { body: placed } = await shop.http("POST /api/orders", {
			token: customer.token,
			body: order,
		});
		return placed.id ?? placed.order_id;
	}
	/** Through the last gateway: where there are two, those who listen at the first hear of what was done elsewhere. */
	const act = (id: string, what: string, headers = {}) =>
		shop.gateways.at(-1)!.http(`POST /api/orders/${id}/${what}`, { token: admin.token, headers });
	let turn = 0;
	/** At the next gateway. */
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

	test("a listener hears within a second what happens to an order, and the stream ends with the order", async () => {
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

	test("a stream that broke off goes on after what was heard, at another gateway too", async () => {
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
		const nonsense = await shop.http(`GET /api/orders/${id}/events`, {
			token: customer.token,
			headers: { "last-event-id": "' or 1=1" },
		});
		expect(nonsense.status).toBe(422);
	});

	test("nobody hears of somebody else's order, and one user has at most ten streams open at a gateway", async () => {
		const id = await place();
		const stranger = await register(shop);
		expect((await watch(id, undefined, stranger.token)).status).toBe(404);
		const streams = await Promise.all(Array.from({ length: 10 }, () => watchAt(0, id)));
		expect(streams.map(({ status }) => status)).toEqual(Array(10).fill(200));
		expect((await watchAt(0, id)).status).toBe(429);
		const theirs = await watchAt(0, id, admin);
		expect(theirs.status).toBe(200);
		streams[0]!.close();
		const another = await eventually(async () => {
			const stream = await watchAt(0, id);
			expect(stream.status).toBe(200);
			return stream;
		});
		for (const stream of [...streams, theirs, another]) stream.close();
	});

	test("a stream ends when its listener's token is revoked", async () => {
		const listener = await register(shop);
		const { body } = await shop.http("POST /api/orders", {
			token: listener.token,
			body: { items: [{ product_id: product.id, quantity: 1 }] },
		});
		const stream = await watch(body.id, undefined, listener.token);
		expect(stream.status).toBe(200);
		await shop.http(`DELETE /api/users/${listener.id}`, { token: admin.token });
		await stream.ended;
		expect(stream.messages.at(-1)!.comment).toContain("access token");
	});

	test("the timeline tells every step, event, compensation and message of an order in their order", async () => {
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
		const told = found.entries.map(
			({ source, kind, name }: Record<string, string>) => `${source} ${kind} ${name}`,
		);
		expect(new Set(told)).toEqual(
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

	test("the timeline tells how often a handler had to try again, and not why", async () => {
		const id = await place();
		const meddle = (what: string) =>
			shop.databases.query("notifications", `alter table messages ${what}`);
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
		await meddle("add constraint no_news check (template <> 'order_shipped') not valid");
		try {
			await act(id, "ship", { traceparent: `00-${trace_id}-00f067aa0ba902b7-01` });
			await eventually(async () =>
				expect((await retries())[0]).toMatchObject({
					...retry,
					detail: { attempt: 1, state: "waiting" },
				}),
			);
		} finally {
			await meddle("drop constraint no_news");
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
		"the timeline says who could not be asked, and tells from the order itself what is not kept any more",
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
		"a node that stops ends its streams, and does not wait for their orders",
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
