import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { walkAudit } from "../../scripts/audit/walk.ts";
import type { Kind } from "../../tools/chaos/cluster.ts";
import { type Customer, makeAdmin, makeProduct, register } from "../support/actors.ts";
import type { Cluster } from "../support/cluster.ts";
import { domains } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import type { Http } from "../support/http.ts";
import { kinds, type Pairs, startPairs } from "../support/pairs.ts";
import { describeWith } from "../support/servers.ts";

/** What a buyer heard, and how many milliseconds after the buyers had begun. */
interface Heard {
	readonly status: number;
	readonly id: string | undefined;
	readonly at: number;
}
const START_MS = 120_000;
/** How long a node may be dead before nobody asks it any more. */
const NOTICED_MS = 5000;

describeWith(["nats-server", "redis-server"], "two nodes of everything, and buyers at work", () => {
	let pairs: Pairs;
	let cluster: Cluster;
	let admin: Customer;
	let buy: () => Promise<{ status: number; id: string | undefined }>;
	beforeAll(async () => {
		pairs = await startPairs({ postgres: true });
		({ cluster } = pairs);
		const everyone = { call: cluster.call, http: pairs.gateways()[0]!.http };
		admin = await makeAdmin(everyone);
		const { token } = await register(everyone);
		const product = await makeProduct(everyone, admin, { stock: 1_000_000 });
		const body = { items: [{ product_id: product.id, quantity: 1 }] };
		let turn = 0;
		buy = async () => {
			const open = pairs.gateways();
			// A connection for each: one that is kept may be closed by the other side at any moment.
			const headers = { connection: "close" };
			const answer = await open[turn++ % open.length]!.http("POST /api/orders", {
				token,
				body,
				headers,
			});
			return { status: answer.status, id: answer.body.id };
		};
	}, START_MS);
	afterAll(() => cluster?.stop(), START_MS);

	/** Four buyers at work while something happens. */
	async function during(happening: (elapsed: () => number) => Promise<unknown>): Promise<Heard[]> {
		const heard: Heard[] = [];
		const from = Date.now();
		const elapsed = () => Date.now() - from;
		let working = true;
		const buyer = async () => {
			while (working) heard.push({ ...(await buy()), at: elapsed() });
		};
		const buyers = [buyer(), buyer(), buyer(), buyer()];
		try {
			await happening(elapsed);
		} finally {
			working = false;
			await Promise.all(buyers);
		}
		return heard;
	}
	/** Waits until so many more orders are there. */
	async function sold(more: number): Promise<void> {
		const count = async () =>
			(
				await cluster.databases.query<{ n: number }>(
					"orders",
					"select count(*)::int as n from orders",
				)
			)[0]!.n;
		const before = await eventually(count, 30);
		await eventually(async () => expect(await count()).toBeGreaterThanOrEqual(before + more), 30);
	}
	const failed = (heard: readonly Heard[]) => heard.filter(({ status }) => status !== 201);
	const unexplained = (heard: readonly Heard[]) =>
		failed(heard).filter(({ status }) => status !== 503);

	/** Every order that was acknowledged is there, all came to an end, and the audit has nothing to say against any. */
	async function expectNothingLost(heard: readonly Heard[]): Promise<void> {
		const known = heard.flatMap(({ id }) => id ?? []);
		await eventually(async () => {
			const found = await cluster.databases.query(
				"orders",
				"select id from orders where id = any($1::uuid[]) and saga_state is null",
				[known],
			);
			expect(found).toHaveLength(known.length);
			const { violations, skipped } = await walkAudit(cluster.call, { quiet: 0, recheck: 0 });
			expect({ violations, skipped }).toEqual({ violations: [], skipped: 0 });
		}, 30);
	}

	test("what was changed at one node is what the other one answers, at once", async () => {
		const [one, other] = pairs.gateways().map(({ http }) => http) as [Http, Http];
		const category = "changing";
		const { id } = await makeProduct({ http: one }, admin, { price: 1, category });
		const list = `GET /api/products?category=${category}`;
		for (let price = 2; price < 12; price++) {
			// Each gateway asks the next of two nodes in turn, so both are asked; and each has an answer of its own.
			for (const http of [one, one, other, other])
				for (const request of [`GET /api/products/${id}`, list]) await http(request);
			const changed = await (price % 2 ? one : other)(`PATCH /api/products/${id}`, {
				token: admin.token,
				body: { price },
			});
			expect(changed.status).toBe(200);
			for (const http of [one, one, other, other]) {
				expect((await http(`GET /api/products/${id}`)).body.price).toBe(price);
				expect((await http(list)).body.map((row: { price: number }) => row.price)).toEqual([price]);
			}
		}
		const more = await makeProduct({ http: other }, admin, { category });
		for (const http of [one, other])
			expect((await http(list)).headers.get("x-total-count")).toBe("2");
		await one(`DELETE /api/products/${more.id}`, { token: admin.token });
		for (const http of [one, other]) {
			expect((await http(list)).headers.get("x-total-count")).toBe("1");
			expect((await http(`GET /api/products/${more.id}`)).status).toBe(404);
		}
	});

	test("the same while many read and others change other products: nobody reads a price from before a change that was answered", async () => {
		const gateways = pairs.gateways().map(({ http }) => http);
		const category = "busy";
		const wares = await Promise.all(
			[1, 2, 3].map(() => makeProduct({ http: gateways[0]! }, admin, { price: 1, category })),
		);
		/** What each costs at least, by the changes that were answered; prices only rise. */
		const prices = new Map(wares.map(({ id }) => [id, 1]));
		let reads = 0;
		const wrong: object[] = [];
		function look(
			before: ReadonlyMap<string, number>,
			rows: readonly { id: string; price: number }[],
		): void {
			reads++;
			for (const { id, price } of rows)
				if (price < before.get(id)!) wrong.push({ id, price, before: before.get(id) });
		}
		const changing = wares.map(async ({ id }, i) => {
			for (let price = 2; price <= 30; price++) {
				const http = gateways[(price + i) % gateways.length]!;
				expect(
					(await http(`PATCH /api/products/${id}`, { token: admin.token, body: { price } })).status,
				).toBe(200);
				prices.set(id, price);
				// Others find the time to keep an answer.
				for (const one of gateways) {
					const before = new Map(prices);
					look(before, [(await one(`GET /api/products/${id}`)).body]);
				}
			}
		});
		let changed = false;
		const reading = Array.from({ length: 8 }, async (_, n) => {
			for (let i = n; !changed; i++) {
				const http = gateways[i % gateways.length]!;
				const before = new Map(prices);
				const { body } = await http(
					i % 3
						? `GET /api/products/${wares[i % wares.length]!.id}`
						: `GET /api/products?category=${category}`,
				);
				look(before, [body].flat());
			}
		});
		try {
			await Promise.all(changing);
		} finally {
			changed = true;
			await Promise.all(reading);
		}
		expect(wrong).toEqual([]);
		expect(reads).toBeGreaterThan(200);
	}, 60_000);

	test.each(domains)("both nodes of %s do the same share of the work", async (service) => {
		const counts = new Map<string, number>();
		for (let i = 0; i < 50; i++) {
			const call = cluster.broker.call(`${service}.deadLetters`, {});
			const { nodeID } = (call as unknown as { ctx: { nodeID: string } }).ctx;
			counts.set(nodeID, (counts.get(nodeID) ?? 0) + 1);
			await call;
		}
		expect(counts.size).toBe(2);
		for (const count of counts.values()) expect(Math.abs(count - 25)).toBeLessThanOrEqual(5);
	});

	test("each node in turn is told to end and replaced, and not one request fails", async () => {
		const heard = await during(async () => {
			for (const kind of kinds) {
				for (const _ of pairs.nodes(kind)) {
					// Customers are sent elsewhere; what was sent to it before is still under way.
					expect(await pairs.takeOut(kind).process.term()).toBe(0);
					await pairs.add(kind);
				}
			}
		});
		expect(failed(heard)).toEqual([]);
		await expectNothingLost(heard);
	}, 180_000);

	test.each<Kind>(["orders", "goods"])(
		"a node of %s that dies without a word costs a few answers 503, none after five seconds, and no order",
		async (kind) => {
			let died = 0;
			const heard = await during(async (elapsed) => {
				await sold(20);
				await pairs.takeOut(kind).process.kill();
				died = elapsed();
				await eventually(() => expect(elapsed()).toBeGreaterThan(died + NOTICED_MS), 10);
				await sold(20);
			});
			expect(unexplained(heard)).toEqual([]);
			expect(failed(heard).filter(({ at }) => at > died + NOTICED_MS)).toEqual([]);
			await expectNothingLost(heard);
			await pairs.add(kind);
		},
		120_000,
	);

	test("Redis is stopped and started, and not one request fails", async () => {
		const heard = await during(async () => {
			await sold(10);
			await cluster.redis.process.term();
			await sold(30);
			await cluster.redis.restart();
			await sold(30);
		});
		expect(failed(heard)).toEqual([]);
		await expectNothingLost(heard);
	}, 120_000);

	test("NATS is stopped and started: 503 meanwhile, and then everything works by itself", async () => {
		const heard = await during(async () => {
			await sold(10);
			await cluster.nats.process.term();
			await cluster.nats.restart();
			await sold(30);
		});
		expect(unexplained(heard)).toEqual([]);
		await expectNothingLost(heard);
	}, 120_000);

	test("Postgres is stopped and started: 503 meanwhile, and then everything works by itself", async () => {
		const heard = await during(async () => {
			await sold(10);
			await cluster.postgres!.stop();
			await eventually(async () => expect((await buy()).status).toBe(503));
			await cluster.postgres!.restart();
			// Breakers that opened meanwhile let one call through after half a minute.
			await eventually(async () => expect((await buy()).status).toBe(201), 60);
			await sold(30);
		});
		expect(unexplained(heard)).toEqual([]);
		await expectNothingLost(heard);
		// Nobody has ended: after another start a node has another id.
		const everybody = kinds.flatMap((kind) => pairs.nodes(kind));
		await Promise.all(
			everybody.map(({ id }) => cluster.broker.call("$node.list", {}, { nodeID: id })),
		);
	}, 120_000);
});
