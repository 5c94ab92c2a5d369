import { rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
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

/** Pause of a buyer between requests, so that the load does not occupy the machine's processors. */
const THINK_MS = 50;
/** Services of a version's two processes. Each step of an order crosses NATS. */
const KINDS = {
	edge: ["api", "operations", ...domains.filter((name) => name !== "orders")],
	orders: ["orders"],
};
const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
type Version = Record<keyof typeof KINDS, ClusterNode>;

describeWith(["nats-server", "redis-server"], "two consecutive versions in one cluster", () => {
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
	});
	afterAll(async () => {
		await cluster?.stop();
		if (next) rmSync(next, { recursive: true, force: true });
	});

	async function startVersion(folder: string): Promise<Version> {
		const name = `${folder === root ? "this" : "next"}-${++started}`;
		const nodes = await Promise.all(
			kinds.map((kind) => cluster.start(`${name}-${kind}`, KINDS[kind], {}, folder)),
		);
		gateways.push(nodes[0]!.url);
		return Object.fromEntries(kinds.map((kind, i) => [kind, nodes[i]!])) as Version;
	}
	/**
	 * Stops the nodes one by one. Before that, the load balancer stops using the gateway, and all
	 * requests end: a gateway that stops refuses new connections.
	 */
	async function stopVersion(version: Version): Promise<void> {
		gateways = gateways.filter((url) => url !== version.edge.url);
		await Promise.all(purchases);
		for (const kind of kinds) expect(await version[kind].process.term()).toBe(0);
	}

	const ids: string[] = [];
	const failures: unknown[] = [];
	/** Places an order, reads it until its saga ends, resolves its shipment, and records failures. */
	async function buy(token: string, product_id: string, turn: number): Promise<void> {
		const headers = { connection: "close" };
		const gateway = () => gateways[turn % gateways.length]!;
		const made = await send(gateway(), "POST /api/orders", {
			token,
			headers,
			body: { items: [{ product_id, quantity: 1 }] },
		});
		if (made.status !== 201) return void failures.push(made);
		ids.push(made.body.id);
		const read = () => send(gateway(), `GET /api/orders/${made.body.id}`, { token, headers });
		let found = await read();
		// On a busy machine, a saga may take longer than the response waits for it.
		while (found.status === 200 && found.body.status === "pending") {
			await pause(THINK_MS);
			found = await read();
		}
		if (found.body.status !== "confirmed" || !found.body.items[0].product) failures.push(found);
		const [shipment] = await cluster.call("shipping.resolve", { order_ids: [made.body.id] });
		if (shipment?.status !== "scheduled") failures.push(shipment);
	}
	/** Purchases in progress. */
	const purchases = new Set<Promise<void>>();
	/** Runs three buyers until `scenario` has finished. */
	async function underLoad(
		token: string,
		product_id: string,
		scenario: () => Promise<unknown>,
	): Promise<void> {
		let working = true;
		let turn = 0;
		const buyer = async () => {
			while (working) {
				const purchase = buy(token, product_id, turn++).catch((error) => void failures.push(error));
				purchases.add(purchase);
				await purchase;
				purchases.delete(purchase);
				await pause(THINK_MS);
			}
		};
		const buyers = [buyer(), buyer(), buyer()];
		try {
			await scenario();
		} finally {
			working = false;
			await Promise.all(buyers);
		}
	}

	/** Number of rows by publishing and consuming version, which differ in the field `wrapping`. */
	const count = async (service: string, text: string) =>
		Object.fromEntries(
			(await cluster.databases.query<{ pair: string; n: number }>(service, text)).map(
				({ pair, n }) => [pair, n],
			),
		);
	const messages = () =>
		count(
			"notifications",
			`select (case when data ? 'wrapping' then 'next' else 'this' end) || ' to '
					|| (case when wrapping is null then 'this' else 'next' end) as pair,
				count(*)::int as n from messages where template = 'order_confirmed' group by 1`,
		);
	const shipments = () =>
		count(
			"shipping",
			`select coalesce(wrapping, 'unknown') as pair, count(*)::int as n from shipments group by 1`,
		);
	const all = (...names: string[]) =>
		Object.fromEntries(names.map((name) => [name, expect.any(Number)]));

	test("a rollout and a rollback under load fail no request and lose no event", async () => {
		const first = await startVersion(root);
		const shop = {
			call: cluster.call,
			http: (request: string, init?: object) => send(gateways[0]!, request, init),
		};
		const admin = await makeAdmin(shop);
		const { token } = await register(shop);
		const { id } = await makeProduct(shop, admin, { stock: 1_000_000 });
		const waitForOrders = async (more: number) => {
			const before = ids.length;
			await eventually(() =>
				expect(ids.length + failures.length).toBeGreaterThanOrEqual(before + more),
			);
		};

		await underLoad(token, id, async () => {
			await waitForOrders(10);
			for (const service of domains)
				await migrate(
					databaseUrl(cluster.databases.pattern, service),
					migrationFolders(next, service),
				);
			await waitForOrders(10);
			const second = await startVersion(next);
			// Each version has consumed events of both versions.
			await eventually(async () =>
				expect(await messages()).toEqual(
					all("this to this", "this to next", "next to this", "next to next"),
				),
			);
			await eventually(async () =>
				expect(await shipments()).toEqual(all("unknown", "none", "gift")),
			);
			await stopVersion(first);
			await waitForOrders(10);
			const third = await startVersion(root);
			await waitForOrders(10);
			await stopVersion(second);
			await waitForOrders(10);
			return third;
		});

		expect(failures).toEqual([]);
		// The saga retries a rejected step on the next node, so responses do not show a rejection.
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
			const sent = await cluster.databases.query(
				"notifications",
				"select from messages where template = 'order_confirmed'",
			);
			expect(sent).toHaveLength(ids.length);
			for (const service of domains)
				expect(await cluster.databases.query(service, "select from retries")).toEqual([]);
			const { violations } = await walkAudit(cluster.call, { quiet: 0, recheck: 0 });
			expect(violations).toEqual([]);
		});
	});
});
