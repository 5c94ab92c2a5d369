import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { traceIdOf } from "../../lib/context/traceparent.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, START_MS } from "./shape.ts";

const hex = (bytes: number) => randomBytes(bytes).toString("hex");
const newTrace = () => ({ traceparent: `00-${hex(16)}-${hex(8)}-01` });
type Headers = Partial<ReturnType<typeof newTrace>>;

/** Everything that happens to an order belongs to the trace of the request that made it happen. */
export function orderTraces(open: () => Promise<AnyShop>): void {
	let shop: AnyShop;
	let admin: Customer;
	let customer: Customer;
	let product: { id: string };
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
		customer = await register(shop);
		product = await makeProduct(shop, admin, { stock: 1000 });
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	async function place(headers: Headers, body: object = {}): Promise<string> {
		const order = { items: [{ product_id: product.id, quantity: 1 }], ...body };
		const answer = await shop.http("POST /api/orders", {
			token: customer.token,
			body: order,
			headers,
		});
		return answer.body.id ?? answer.body.order_id;
	}
	const act = (id: string, what: string, headers: Headers) =>
		shop.http(`POST /api/orders/${id}/${what}`, { token: admin.token, headers });
	/** What was told of an order, and the ids of the traces that it was told in. */
	async function told(id: string) {
		const services = ["orders", "inventory", "payments", "shipping"];
		const query = "select type, traceparent from outbox where subject = $1 order by seq";
		const facts = await Promise.all(
			services.map((service) =>
				shop.databases.query<{ type: string; traceparent: string | null }>(service, query, [id]),
			),
		);
		const messages = await shop.databases.query<{ type: string; traceparent: string | null }>(
			"notifications",
			"select 'message ' || template as type, traceparent from messages where data ->> 'order_id' = $1",
			[id],
		);
		const all = [...facts.flat(), ...messages];
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

	test("all that is told of an order carries the trace of the request, to the last message", async () => {
		const headers = newTrace();
		const id = await place(headers);
		for (const step of ["ship", "deliver"]) expect((await act(id, step, headers)).status).toBe(200);
		const everything = [...FORWARD, ...SENT, ...LATER].sort();
		await eventually(async () => expect((await told(id)).all).toEqual(everything), 20);
		expect((await told(id)).of(headers.traceparent)).toEqual(everything);
		const { body } = await shop.http(`GET /api/orders/${id}/timeline`, { token: customer.token });
		expect(new Set(body.entries.map(({ trace_id }: { trace_id: string }) => trace_id))).toEqual(
			new Set([traceIdOf(headers.traceparent)]),
		);
	}, 40_000);

	test("of orders that travel together each has its own trace, one without has none, and those that fail keep theirs on the way back", async () => {
		const undeliverable = { shipping_address: "Undeliverable 1" };
		const requests: [Headers, object][] = Array.from({ length: 40 }, (_, i) => [
			i % 4 === 0 ? {} : newTrace(),
			i % 5 === 0 ? undeliverable : {},
		]);
		const ids = await Promise.all(requests.map(([headers, body]) => place(headers, body)));
		const BACK = [
			"inventory.released",
			"inventory.reserved",
			"order.cancelled",
			"order.created",
			"payment.captured",
			"payment.refunded",
		];
		await eventually(async () => {
			for (const [i, id] of ids.entries()) {
				const [{ traceparent }, body] = requests[i]!;
				const { all, of } = await told(id);
				expect(all).toEqual(
					body === undeliverable
						? ["message order_cancelled", ...BACK].sort()
						: ["message order_confirmed", ...FORWARD].sort(),
				);
				expect(of(traceparent)).toEqual(all);
			}
		}, 20);
	}, 60_000);

	test("an order that somebody cancels goes back in the trace of that request", async () => {
		const [placing, cancelling] = [newTrace(), newTrace()];
		const id = await place(placing);
		await eventually(
			async () => expect((await told(id)).all).toContain("message order_confirmed"),
			20,
		);
		expect((await act(id, "cancel", cancelling)).body.status).toBe("cancelled");
		await eventually(
			async () => expect((await told(id)).all).toContain("message order_cancelled"),
			20,
		);
		const { of } = await told(id);
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
	}, 40_000);

	test("a traceparent that is none is left out", async () => {
		const id = await place({ traceparent: `00-${"0".repeat(32)}-${hex(8)}-01` });
		await eventually(
			async () => expect((await told(id)).all).toContain("message order_confirmed"),
			20,
		);
		const { all, of } = await told(id);
		expect(of(undefined)).toEqual(all);
	}, 40_000);

	test("what happens to users and products carries the trace as well, also what is told later", async () => {
		const headers = newTrace();
		const email = `${hex(6)}@example.com`;
		const account = { email, password: "correct horse", full_name: "A Customer" };
		const { body: user } = await shop.http("POST /api/users", { body: account, headers });
		const resetting = newTrace();
		await shop.http("POST /api/users/password-reset", { body: { email }, headers: resetting });
		const body = { name: `Product ${hex(6)}`, price: 10, category: "Things" };
		const { body: made } = await shop.http("POST /api/products", {
			token: admin.token,
			body,
			headers,
		});
		const tracesOf = async (service: string, subject: string) =>
			shop.databases.query(
				service,
				"select type, traceparent from outbox where subject = $1 order by seq",
				[subject],
			);
		expect(await tracesOf("products", made.id)).toEqual([{ type: "product.created", ...headers }]);
		await eventually(async () =>
			expect(await tracesOf("users", user.id)).toEqual([
				{ type: "user.created", ...headers },
				{ type: "user.password_reset_requested", ...resetting },
			]),
		);
	});
}
