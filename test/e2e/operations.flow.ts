import { randomUUID } from "node:crypto";
import { expect, test } from "@jest/globals";
import type { Client } from "../../clients/typescript/src/index.ts";
import { serviceNames } from "../../lib/settings/node.ts";
import { type Customer, makeProduct, placeOrder, register } from "../support/builders.ts";
import { clientOf, problemOf } from "../support/client.ts";
import { services } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { type AnyShop, type Flow, useShop } from "./shape.ts";

export const operations: Flow = (open) => {
	let shop: AnyShop;
	let admin: Customer;
	let client: Client;
	useShop(open, (...started) => {
		[shop, admin] = started;
		client = clientOf(shop, admin);
	});

	/** Stores the event of an order as a dead letter of a service that has already processed it. */
	async function makeDeadLetter(service: string): Promise<string> {
		const customer = await register(shop);
		const { body: order } = await placeOrder(shop, customer, await makeProduct(shop, admin));
		const insert = `insert into retries
				(group_name, event_id, event, attempts, errors, next_at, dead_at)
			values ($1, $2, $3, 2, $4, now(), now())`;
		const [event] = await shop.databases.query<{ id: string; type: string; subject: string }>(
			"orders",
			`select id, type, subject, data, traceparent from outbox
			where subject = $1 and type = 'order.confirmed'`,
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
		await client.users.list();
		const { shopNodes, bucket_bounds } = await eventually(async () => {
			const { nodes: found, bucket_bounds } = await client.operations.nodes();
			const running = found.flatMap((node) => node.services);
			expect([...new Set(running)].sort()).toEqual(expect.arrayContaining(serviceNames(services)));
			const shopNodes = found.filter((node) => node.services.length > 0);
			// On a busy machine, a node may miss the time limit of its response.
			for (const { responding } of shopNodes) expect(responding).toBe(true);
			return { shopNodes, bucket_bounds };
		});
		for (const node of shopNodes) {
			expect(node.breakers).toEqual(expect.any(Array));
			expect(node.memory_mb).toBeGreaterThan(10);
			expect(Date.parse(node.started_at!)).toBeLessThan(Date.now());
			expect(node.http === null).toBe(!node.services.includes("api"));
			for (const { buckets, ok, refused, failed } of node.calls) {
				expect(buckets).toHaveLength(bucket_bounds.length + 1);
				expect(sum(buckets)).toBe(ok + refused + failed);
			}
		}
		const requests = shopNodes.map(({ http }) => http?.requests ?? 0);
		expect(sum(requests)).toBeGreaterThan(0);
	});

	test("a dead letter is listed, shown, retried and counted in its queue", async () => {
		const event_id = await makeDeadLetter("notifications");
		const service = "notifications";
		const list = async () => {
			const { rows } = await client.operations.listDeadLetters({ service });
			return rows.filter((row) => row.event_id === event_id);
		};
		await eventually(async () =>
			expect(await list()).toEqual([
				expect.objectContaining({
					service,
					type: "order.confirmed",
					error: "Not today",
				}),
			]),
		);
		const selection = { service, event_id };
		expect(await client.operations.getDeadLetter(selection)).toMatchObject({
			event_id,
			attempts: 2,
			event: { id: event_id },
		});
		await eventually(async () => {
			const { services: queues } = await client.operations.queues();
			const queue = queues.find((one) => one.service === service);
			expect(queue?.dead_letters).toBeGreaterThan(0);
		});
		expect(await client.operations.retry(selection)).toEqual({
			count: 1,
			unavailable: [],
		});
		await eventually(async () => expect(await list()).toEqual([]));
	});

	test("a discard without a field is refused", async () => {
		const { status, code } = await problemOf(client.operations.discard({}));
		expect([status, code]).toEqual([422, "VALIDATION_ERROR"]);
	});

	test("while a service is down, it is reported, and other dead letters are listed", async () => {
		const event_id = await makeDeadLetter("notifications");
		await shop.without("shipping", async () => {
			await eventually(async () => {
				const { rows, unavailable } = await client.operations.listDeadLetters({ limit: 200 });
				expect(unavailable).toContain("shipping");
				expect(rows).toContainEqual(expect.objectContaining({ event_id }));
			});
			await eventually(async () =>
				expect((await client.operations.queues()).unavailable).toContain("shipping"),
			);
			const one = { service: "shipping", event_id: randomUUID() };
			expect((await problemOf(client.operations.getDeadLetter(one))).status).toBe(503);
			expect(await client.operations.discard({ event_id })).toMatchObject({
				count: 1,
				unavailable: expect.arrayContaining(["shipping"]),
			});
		});
		await eventually(async () =>
			expect((await client.operations.queues()).unavailable).toEqual([]),
		);
	});
};

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
