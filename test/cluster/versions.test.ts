import { rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { databaseUrl } from "../../lib/persistence/database.ts";
import { migrate } from "../../lib/persistence/migrate.ts";
import { migrationFolders } from "../../lib/settings/node.ts";
import { walkAudit } from "../../scripts/audit/walk.ts";
import { makeAdmin, makeProduct, register } from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains, root } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http.ts";
import { makeNextVersion } from "../support/next-version.ts";
import { describeWith } from "../support/servers.ts";

const START_MS = 180_000;
/** What each of a version's three processes runs; an order crosses NATS from one to the next. */
const KINDS = {
	edge: ["api", "auth", "users", "products"],
	orders: ["orders"],
	rest: ["inventory", "payments", "shipping", "notifications"],
} as const;
const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
type Version = Record<keyof typeof KINDS, ClusterNode>;

describeWith(["nats-server", "redis-server"], "a version and the next one side by side", () => {
	let cluster: Cluster;
	let next: string;
	let gateways: string[] = [];
	let started = 0;
	beforeAll(async () => {
		next = makeNextVersion();
		cluster = await startCluster({
			services: domains,
			env: { RATE_LIMIT_ENABLED: "false", LOGLEVEL: "warn" },
		});
	}, START_MS);
	afterAll(async () => {
		await cluster?.stop();
		if (next) rmSync(next, { recursive: true, force: true });
	}, START_MS);

	async function bringUp(folder: string): Promise<Version> {
		const name = `${folder === root ? "this" : "next"}-${++started}`;
		const nodes = await Promise.all(
			kinds.map((kind) => cluster.start(`${name}-${kind}`, KINDS[kind], {}, folder)),
		);
		gateways.push(nodes[0]!.url);
		return Object.fromEntries(kinds.map((kind, i) => [kind, nodes[i]!])) as Version;
	}
	/** One node after the other; customers are sent to the other gateway before theirs is told to end. */
	async function takeDown(version: Version): Promise<void> {
		gateways = gateways.filter((url) => url !== version.edge.url);
		for (const kind of kinds) expect(await version[kind].process.term()).toBe(0);
	}

	const ids: string[] = [];
	const wrong: unknown[] = [];
	/** Orders, looks at the order, and has its shipment looked up; notes what is not as it should be. */
	async function buy(token: string, product_id: string, turn: number): Promise<void> {
		const headers = { connection: "close" };
		const gateway = () => gateways[turn % gateways.length]!;
		const made = await send(gateway(), "POST /api/orders", {
			token,
			headers,
			body: { items: [{ product_id, quantity: 1 }] },
		});
		if (made.status !== 201 || made.body.status !== "confirmed") return void wrong.push(made);
		ids.push(made.body.id);
		const found = await send(gateway(), `GET /api/orders/${made.body.id}`, { token, headers });
		if (found.status !== 200 || !found.body.items[0].product) wrong.push(found);
		const [shipment] = await cluster.call("shipping.resolve", { order_ids: [made.body.id] });
		if (shipment?.status !== "scheduled") wrong.push(shipment);
	}
	/** Three buyers at work while something happens. */
	async function during(
		token: string,
		product_id: string,
		happening: () => Promise<unknown>,
	): Promise<void> {
		let working = true;
		let turn = 0;
		const buyer = async () => {
			while (working) await buy(token, product_id, turn++).catch((error) => wrong.push(error));
		};
		const buyers = [buyer(), buyer(), buyer()];
		try {
			await happening();
		} finally {
			working = false;
			await Promise.all(buyers);
		}
	}

	/** Who told, by whether `wrapping` is in the event, and who wrote it down, by what is in the column: in how many cases. */
	const count = async (service: string, text: string) =>
		Object.fromEntries(
			(await cluster.databases.query<{ pair: string; n: number }>(service, text)).map(
				({ pair, n }) => [pair, n],
			),
		);
	const messages = () =>
		count(
			"notifications",
			`select (case when data ? 'wrapping' then 'next' else 'this' end) || ' to ' || (case when wrapping is null then 'this' else 'next' end) as pair,
				count(*)::int as n from messages where template = 'order_confirmed' group by 1`,
		);
	const shipments = () =>
		count(
			"shipping",
			`select coalesce(wrapping, 'unknown') as pair, count(*)::int as n from shipments group by 1`,
		);
	const all = (...names: string[]) =>
		Object.fromEntries(names.map((name) => [name, expect.any(Number)]));

	test("the next version is rolled out under buyers, and rolled back: no request fails, every order is confirmed, every event is handled", async () => {
		const first = await bringUp(root);
		const everyone = {
			call: cluster.call,
			http: (request: string, init?: object) => send(gateways[0]!, request, init),
		};
		const admin = await makeAdmin(everyone);
		const { token } = await register(everyone);
		const { id } = await makeProduct(everyone, admin, { stock: 1_000_000 });
		const sold = async (more: number) => {
			const before = ids.length;
			await eventually(
				() => expect(ids.length + wrong.length).toBeGreaterThanOrEqual(before + more),
				60,
			);
		};

		await during(token, id, async () => {
			await sold(10);
			for (const service of domains)
				await migrate(
					databaseUrl(cluster.databases.pattern, service),
					migrationFolders(next, service),
				);
			await sold(10);
			const second = await bringUp(next);
			// Each version has told, and was told by, each.
			await eventually(
				async () =>
					expect(await messages()).toEqual(
						all("this to this", "this to next", "next to this", "next to next"),
					),
				60,
			);
			await eventually(
				async () => expect(await shipments()).toEqual(all("unknown", "none", "gift")),
				60,
			);
			await takeDown(first);
			await sold(10);
			const third = await bringUp(root);
			await sold(10);
			await takeDown(second);
			await sold(10);
			return third;
		});

		expect(wrong).toEqual([]);
		// A step of the saga that one node refuses is asked of the next, so customers would not have noticed.
		const lines = cluster.log().split("\n");
		expect(lines.filter((line) => /\bERROR\b|ValidationError|VALIDATION_ERROR/.test(line))).toEqual(
			[],
		);
		await eventually(async () => {
			const found = await cluster.databases.query(
				"orders",
				"select from orders where id = any($1::uuid[]) and status = 'confirmed'",
				[ids],
			);
			expect(found).toHaveLength(ids.length);
			const told = await cluster.databases.query(
				"notifications",
				"select from messages where template = 'order_confirmed'",
			);
			expect(told).toHaveLength(ids.length);
			for (const service of domains)
				expect(await cluster.databases.query(service, "select from retries")).toEqual([]);
			const { violations } = await walkAudit(cluster.call, { quiet: 0, recheck: 0 });
			expect(violations).toEqual([]);
		}, 60);
	}, 400_000);
});
