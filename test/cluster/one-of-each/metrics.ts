import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { allMetrics } from "../../../tools/documents/metrics.ts";
import { makeAdmin, makeProduct, placeOrder, register } from "../../support/builders.ts";
import type { Cluster } from "../../support/cluster.ts";
import { metricsIn, queries, resolved } from "../../support/dashboards.ts";
import { eventually } from "../../support/eventually.ts";
import type { Http } from "../../support/http.ts";
import { afterOutage } from "../../support/outages.ts";
import { kinds, type Pairs } from "../../support/pairs.ts";
import { type Prometheus, startPrometheus } from "../../support/prometheus.ts";

/**
 * Tests of metrics and logs. They require a cluster that has served no request, whose log is JSON.
 */
export const metrics = (open: () => Pairs) => {
	let folder: string;
	let cluster: Cluster;
	let prometheus: Prometheus;
	/** Number of requests that place an order. */
	let requests = 0;
	beforeAll(async () => {
		const pairs = open();
		({ cluster } = pairs);
		folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-metrics-"));
		// Most queries use rates, so counters must grow between two scrapes.
		requests += await generateActivity(cluster);
		const ports = kinds.map((kind) => [kind, pairs.nodes(kind)[0]!.healthPort] as const);
		prometheus = await startPrometheus(folder, Object.fromEntries(ports));
		const holds = (expr: string, times: number) =>
			eventually(async () => expect(await prometheus.query(expr)).toHaveLength(times));
		await holds("count_over_time(up[1m]) >= 2", kinds.length);
		requests += await generateActivity(cluster);
		// The last action, in the metrics of the orders node and of the gateway.
		await holds('increase(shop_orders_cancelled_total{reason="REQUESTED"}[1m]) > 0', 1);
		await holds('increase(shop_http_requests_total{route="/api/orders/:id/cancel"}[1m]) > 0', 1);
	});
	afterAll(async () => {
		await prometheus?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	test("every panel has data, and its legend uses existing labels", async () => {
		const wrong: string[] = [];
		for (const { where, expr, legendFormat = "" } of queries) {
			// On a busy machine, Prometheus drops the figures of a node that it cannot read in time.
			await eventually(async () => {
				const result = await prometheus.query(resolved(expr));
				if (result.length === 0) throw new Error(`${where} has no data: ${expr}`);
			});
			const missing = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].filter(
				([, label]) => !expr.includes(label!),
			);
			if (missing.length > 0) wrong.push(`${where}: ${legendFormat}`);
		}
		expect(wrong).toEqual([]);
	});

	test("some node exports every metric and label that a panel or an alert uses", async () => {
		const rules = await prometheus.rules();
		expect(rules.length).toBeGreaterThan(0);
		const expressions = [
			...queries.map(({ where, expr }) => [where, resolved(expr)]),
			...rules.map(({ name, query }) => [name, query]),
		];
		const known = new Map<string, ReadonlySet<string>>();
		const errors: string[] = [];
		for (const [where, expr] of expressions) {
			const named = metricsIn(expr!);
			named.delete("ALERTS");
			for (const [metric] of named)
				if (!known.has(metric)) known.set(metric, await prometheus.labels(metric));
			const together = new Set([...named.keys()].flatMap((metric) => [...known.get(metric)!]));
			for (const [metric, labels] of named) {
				if (known.get(metric)!.size === 0) errors.push(`${where}: no node exports ${metric}`);
				for (const label of labels)
					if (!together.has(label)) errors.push(`${where}: ${metric} has no label ${label}`);
			}
		}
		expect(errors).toEqual([]);
	});

	test("every rule is valid, and no alert fires in a healthy cluster", async () => {
		await eventually(async () => {
			const rules = await prometheus.rules();
			expect(
				rules
					.filter(({ health }) => health !== "ok")
					.map(({ name, lastError }) => `${name}: ${lastError}`),
			).toEqual([]);
		});
		expect(
			(await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric.alertname),
		).toEqual([]);
	});

	test("every declared metric is exported with exactly the declared labels", async () => {
		const added = ["__name__", "app", "instance", "job", "le"];
		for (const { name, type, labels = [] } of await allMetrics()) {
			const exported = await prometheus.labels(type === "histogram" ? `${name}_count` : name);
			expect([name, ...[...exported].filter((label) => !added.includes(label)).sort()]).toEqual([
				name,
				...[...labels].sort(),
			]);
			expect([name, exported.size]).not.toEqual([name, 0]);
		}
	});

	test("no label contains an ID, a path or an address, which bounds cardinality", async () => {
		const all = await prometheus.query('{job="shop", __name__=~"shop_.+"}');
		const values = all.flatMap(({ metric }) =>
			Object.entries(metric).filter(([label]) => !["node", "instance"].includes(label)),
		);
		expect(values.filter(([, value]) => /[0-9a-f]{8}-[0-9a-f]{4}|@|\?/.test(value))).toEqual([]);
	});

	test("every log line is JSON with the standard fields, and each request has one", async () => {
		const lines = () =>
			cluster
				.log()
				.split("\n")
				.filter(Boolean)
				.map((line) => JSON.parse(line) as Record<string, unknown>);
		const isOrder = ({ logger, method, path }: Record<string, unknown>) =>
			logger === "access" && method === "POST" && path === "/api/orders";
		await eventually(() => expect(lines().filter(isOrder)).toHaveLength(requests));
		const invalid = lines().filter((line) =>
			["timestamp", "level", "logger", "service", "message"].some(
				(field) => typeof line[field] !== "string",
			),
		);
		expect(invalid).toEqual([]);
	});
};

/**
 * Creates orders with every outcome, and other activity that metrics count.
 * @returns the number of requests that place an order
 */
async function generateActivity(cluster: Cluster): Promise<number> {
	let requests = 0;
	const http: Http = (request, options) => {
		requests++;
		return cluster.http(request, options);
	};
	const admin = await makeAdmin(cluster);
	const { token } = await register(cluster);
	const product = await makeProduct(cluster, admin, { stock: 3 });
	const order = (overrides: object = {}) => placeOrder({ http }, { token }, product, overrides);
	const { body: first } = await order();
	await order();
	await order({ payment_token: "tok_declined" });
	await order({ shipping_address: "Undeliverable 1" });
	for (let i = 0; i < 3; i++) await cluster.http(`GET /api/products/${product.id}`);
	await cluster.http("GET /api/nothing");
	await cluster.http("GET /health");
	// The audit skips new orders, whose mails may still be pending.
	await afterOutage(() => cluster.call("orders.audit", {}));
	await cluster.http(`POST /api/orders/${first.id}/cancel`, { token });
	return requests;
}
