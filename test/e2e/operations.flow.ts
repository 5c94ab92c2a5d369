import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { serviceNames } from "../../lib/settings/node.ts";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../support/builders.ts";
import { services } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, START_MS } from "./shape.ts";

export const operations: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	beforeAll(async () => {
		shop = await open();
		admin = await makeAdmin(shop);
	}, START_MS);
	afterAll(() => shop?.stop(), START_MS);

	const request = async (route: string, body?: object) => {
		const response = await shop.http(route, { token: admin.token, ...(body ? { body } : {}) });
		expect(response).toMatchObject({ status: 200 });
		return response.body;
	};
	const nodes = () => request("GET /api/operations/nodes");
	/** Stores the event of an order as a dead letter of a service that has already processed it. */
	async function bury(service: string): Promise<string> {
		const customer = await register(shop);
		const { body: order } = await placeOrder(shop, customer, await makeProduct(shop, admin));
		const insert = `insert into retries (group_name, event_id, event, attempts, errors, next_at, dead_at)
			values ($1, $2, $3, 2, $4, now(), now())`;
		const [event] = await shop.databases.query<{ id: string; type: string; subject: string }>(
			"orders",
			"select id, type, subject, data, traceparent from outbox where subject = $1 and type = 'order.confirmed'",
			[order.id],
		);
		const time = new Date().toISOString();
		const errors = [{ time, message: "Not today" }];
		await shop.databases.query(service, insert, [
			service,
			event!.id,
			JSON.stringify(event),
			JSON.stringify(errors),
		]);
		return event!.id;
	}

	test("every service of the shop runs on a node that responds, with its counters", async () => {
		await request("GET /api/users");
		const { nodes: found, bucket_bounds } = await nodes();
		const running = found.flatMap((node: { services: string[] }) => node.services);
		expect([...new Set(running)].sort()).toEqual(expect.arrayContaining(serviceNames(services)));
		const shopNodes = found.filter((node: { services: string[] }) => node.services.length > 0);
		for (const node of shopNodes) {
			expect(node).toMatchObject({ responding: true, breakers: expect.any(Array) });
			expect(node.memory_mb).toBeGreaterThan(10);
			expect(Date.parse(node.started_at)).toBeLessThan(Date.now());
			expect(node.http === null).toBe(!node.services.includes("api"));
			for (const { buckets, ok, refused, failed } of node.calls) {
				expect(buckets).toHaveLength(bucket_bounds.length + 1);
				expect(sum(buckets)).toBe(ok + refused + failed);
			}
		}
		const requests = shopNodes.map(
			({ http }: { http: { requests: number } | null }) => http?.requests ?? 0,
		);
		expect(sum(requests)).toBeGreaterThan(0);
	});

	test("a dead letter is listed, shown, retried and counted in its queue", async () => {
		const event_id = await bury("notifications");
		const list = async () =>
			(await request("GET /api/operations/dead-letters?service=notifications")).rows.filter(
				(row: { event_id: string }) => row.event_id === event_id,
			);
		expect(await list()).toEqual([
			expect.objectContaining({
				service: "notifications",
				type: "order.confirmed",
				error: "Not today",
			}),
		]);
		expect(
			await request(`GET /api/operations/dead-letters/notifications/${event_id}`),
		).toMatchObject({ event_id, attempts: 2, event: { id: event_id } });
		const { services: queues } = await request("GET /api/operations/queues");
		const queue = queues.find(({ service }: { service: string }) => service === "notifications");
		expect(queue.dead_letters).toBeGreaterThan(0);
		const selection = { service: "notifications", event_id };
		expect(await request("POST /api/operations/dead-letters/retry", selection)).toEqual({
			count: 1,
			unavailable: [],
		});
		await eventually(async () => expect(await list()).toEqual([]));
	});

	test("a discard without a field is refused", async () => {
		const { status, body } = await shop.http("POST /api/operations/dead-letters/discard", {
			token: admin.token,
			body: {},
		});
		expect([status, body.code]).toEqual([422, "VALIDATION_ERROR"]);
	});

	test(
		"while a service is down, it is reported and the dead letters of others are available",
		async () => {
			const event_id = await bury("notifications");
			await shop.without("shipping", async () => {
				const { rows, unavailable } = await request("GET /api/operations/dead-letters?limit=200");
				expect(unavailable).toContain("shipping");
				expect(rows).toContainEqual(expect.objectContaining({ event_id }));
				await eventually(async () =>
					expect((await request("GET /api/operations/queues")).unavailable).toContain("shipping"),
				);
				const one = await shop.http(`GET /api/operations/dead-letters/shipping/${randomUUID()}`, {
					token: admin.token,
				});
				expect(one.status).toBe(503);
				const body = { event_id };
				expect(await request("POST /api/operations/dead-letters/discard", body)).toMatchObject({
					count: 1,
					unavailable: expect.arrayContaining(["shipping"]),
				});
			});
			await eventually(async () =>
				expect((await request("GET /api/operations/queues")).unavailable).toEqual([]),
			);
		},
		START_MS,
	);
};

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
