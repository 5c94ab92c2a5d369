import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import { traceIdOf } from "../../lib/context/traceparent.ts";
import { type Customer, makeProduct, placeOrder, register } from "../support/builders.ts";
import { clientOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, useShop } from "./shape.ts";

const hex = (bytes: number) => randomBytes(bytes).toString("hex");
const newTrace = () => ({ traceparent: `00-${hex(16)}-${hex(8)}-01` });
type Headers = Partial<ReturnType<typeof newTrace>>;

/** Events of an order carry the trace of the request that caused them. */
export function orderTraces(open: () => Promise<AnyShop>): void {
	let shop: AnyShop;
	let admin: Customer;
	let customer: Customer;
	let product: { id: string };
	useShop(open, async (...started) => {
		[shop, admin] = started;
		customer = await register(shop);
		product = await makeProduct(shop, admin, { stock: 1000 });
	});

	const ordersOf = (caller: Customer, headers: Headers) =>
		clientOf(shop, caller).with({ headers }).orders;
	const place = async (headers: Headers): Promise<string> =>
		(await placeOrder(shop, customer, product, {}, headers)).body.id;
	async function placeUndeliverable(headers: Headers): Promise<string> {
		const overrides = { shipping_address: "Undeliverable 1" };
		const { status, body } = await placeOrder(shop, customer, product, overrides, headers);
		expect(status).toBe(409);
		return body.order_id;
	}
	/** Events and messages of an order: all types, and those of a trace. */
	async function published(id: string) {
		const services = ["orders", "inventory", "payments", "shipping"];
		const query = "select type, traceparent from outbox where subject = $1 order by seq";
		const events = await Promise.all(
			services.map((service) =>
				shop.databases.query<{ type: string; traceparent: string | null }>(service, query, [id]),
			),
		);
		const messages = await shop.databases.query<{ type: string; traceparent: string | null }>(
			"notifications",
			`select 'message ' || template as type, traceparent
			from messages where data ->> 'order_id' = $1`,
			[id],
		);
		const all = [...events.flat(), ...messages];
		const of = (traceparent: string | undefined) =>
			all
				.filter((one) => traceIdOf(one.traceparent) === traceIdOf(traceparent))
				.map(({ type }) => type)
				.sort();
		return { all: all.map(({ type }) => type).sort(), of };
	}

	const FORWARD = [
		"inventory.reserved",
		"order.confirmed",
		"order.created",
		"payment.captured",
		"shipment.scheduled",
	];
	const LATER = ["message order_confirmed", "message order_delivered", "message order_shipped"];
	const SENT = ["order.delivered", "order.shipped", "shipment.delivered", "shipment.dispatched"];

	test("all events and messages of an order carry the trace of the request", async () => {
		const headers = newTrace();
		const id = await place(headers);
		for (const step of ["ship", "deliver"] as const)
			expect((await ordersOf(admin, headers)[step]({ id }).withResponse()).status).toBe(200);
		const expected = [...FORWARD, ...SENT, ...LATER].sort();
		await eventually(async () => expect((await published(id)).all).toEqual(expected));
		expect((await published(id)).of(headers.traceparent)).toEqual(expected);
		const { entries } = await clientOf(shop, customer).orders.timeline({ id });
		expect(new Set(entries.map(({ trace_id }) => trace_id))).toEqual(
			new Set([traceIdOf(headers.traceparent)]),
		);
	});

	test("batched orders keep their own traces, also during compensation", async () => {
		const requests = Array.from({ length: 40 }, (_, i): [Headers, typeof place] => [
			i % 4 === 0 ? {} : newTrace(),
			i % 5 === 0 ? placeUndeliverable : place,
		]);
		const ids = await Promise.all(requests.map(([headers, place]) => place(headers)));
		const COMPENSATED = [
			"inventory.released",
			"inventory.reserved",
			"order.cancelled",
			"order.created",
			"payment.captured",
			"payment.refunded",
		];
		await eventually(async () => {
			for (const [i, id] of ids.entries()) {
				const [{ traceparent }, placed] = requests[i]!;
				const { all, of } = await published(id);
				expect(all).toEqual(
					placed === placeUndeliverable
						? ["message order_cancelled", ...COMPENSATED].sort()
						: ["message order_confirmed", ...FORWARD].sort(),
				);
				expect(of(traceparent)).toEqual(all);
			}
		});
	});

	test("a cancellation is part of the trace of its own request", async () => {
		const [placing, cancelling] = [newTrace(), newTrace()];
		const id = await place(placing);
		await eventually(async () =>
			expect((await published(id)).all).toContain("message order_confirmed"),
		);
		await ordersOf(admin, cancelling).cancel({ id });
		await eventually(async () =>
			expect((await published(id)).all).toContain("message order_cancelled"),
		);
		const { of } = await published(id);
		expect(of(placing.traceparent)).toEqual(["message order_confirmed", ...FORWARD].sort());
		expect(of(cancelling.traceparent)).toEqual(
			[
				"inventory.released",
				"message order_cancelled",
				"order.cancelled",
				"payment.refunded",
				"shipment.cancelled",
			].sort(),
		);
	});

	test("an invalid traceparent is ignored", async () => {
		const id = await place({ traceparent: `00-${"0".repeat(32)}-${hex(8)}-01` });
		await eventually(async () =>
			expect((await published(id)).all).toContain("message order_confirmed"),
		);
		const { all, of } = await published(id);
		expect(of(undefined)).toEqual(all);
	});

	test("events of users and products carry the trace, also those published later", async () => {
		const headers = newTrace();
		const email = `${hex(6)}@example.com`;
		const account = { email, password: "correct horse", full_name: "A Customer" };
		const { users } = clientOf(shop);
		const user = await users.create(account, { headers });
		const resetting = newTrace();
		await users.requestPasswordReset({ email }, { headers: resetting });
		const product = { name: `Product ${hex(6)}`, price: 10, category: "Things" };
		const created = await clientOf(shop, admin).products.create(product, { headers });
		const tracesOf = async (service: string, subject: string) =>
			shop.databases.query(
				service,
				"select type, traceparent from outbox where subject = $1 order by seq",
				[subject],
			);
		expect(await tracesOf("products", created.id)).toEqual([
			{ type: "product.created", ...headers },
		]);
		await eventually(async () =>
			expect(await tracesOf("users", user.id)).toEqual([
				{ type: "user.created", ...headers },
				{ type: "user.password_reset_requested", ...resetting },
			]),
		);
	});
}
