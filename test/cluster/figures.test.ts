import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { KINDS } from "../../tools/chaos/cluster.ts";
import { allMetrics } from "../../tools/documents/metrics.ts";
import { makeAdmin, makeProduct, placeOrder, register } from "../support/builders.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { domains, root } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/processes.ts";
import { type Prometheus, startPrometheus } from "../support/prometheus.ts";
import { describeWith } from "../support/servers.ts";

const folder = join(root, "deploy/observability");
interface Panel {
	readonly id: number;
	readonly title: string;
	readonly datasource: { readonly uid: string };
	readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
	readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[];
}
interface Dashboard {
	readonly uid: string;
	readonly title: string;
	readonly panels: readonly Panel[];
}
const dashboards: Dashboard[] = readdirSync(join(folder, "grafana/dashboards")).map((file) =>
	JSON.parse(readFileSync(join(folder, "grafana/dashboards", file), "utf8")),
);
const panels = dashboards.flatMap(({ title, panels }) =>
	panels.map((panel) => ({ ...panel, dashboard: title })),
);
const queries = panels.flatMap(({ dashboard, title, targets }) =>
	targets.map((target) => ({ where: `${dashboard}, ${title}`, ...target })),
);

/** Query with Grafana's variables replaced. */
const resolved = (expr: string) => expr.replaceAll("$__rate_interval", "1m");
const KEYWORDS = new Set([
	"by",
	"without",
	"on",
	"ignoring",
	"group_left",
	"group_right",
	"and",
	"or",
	"unless",
	"bool",
	"offset",
]);
/** Metrics in an expression, each with the labels that the expression requires. */
function metricsIn(expr: string): Map<string, Set<string>> {
	const bare = expr.replace(/"[^"]*"/g, '""').replace(/\[[^\]]*\]/g, "");
	const grouped = [...bare.matchAll(/\b(?:by|without|on)\s*\(([^)]*)\)/g)].flatMap(([, list]) =>
		list!.split(",").map((one) => one.trim()),
	);
	const found = new Map<string, Set<string>>();
	const selectors = bare.replace(/\b(?:by|without|on)\s*\([^)]*\)/g, "");
	for (const [, name = "", matchers = ""] of selectors.matchAll(
		/\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?/g,
	)) {
		if (KEYWORDS.has(name) || /^\d/.test(name)) continue;
		if (new RegExp(`[{,]\\s*${name}\\s*[=!]`).test(selectors)) continue;
		const labels = [...matchers.matchAll(/(\w+)\s*(?:=|!)/g)].map(([, label]) => label!);
		found.set(name, new Set([...(found.get(name) ?? []), ...labels, ...grouped]));
	}
	return found;
}

test("metrics and labels of an expression are detected", () => {
	const named = metricsIn(
		'histogram_quantile(0.9, sum by (route, le) (rate(a_bucket{x="y(z)"}[5m]))) > 0 or max(b)',
	);
	expect([...named].map(([name, labels]) => [name, ...labels])).toEqual([
		["a_bucket", "x", "route", "le"],
		["b", "route", "le"],
	]);
});

test("dashboards have unique names, panels that do not overlap, and existing data sources", () => {
	const { datasources } = parse(readFileSync(join(folder, "grafana/datasources.yml"), "utf8"));
	const sources = datasources.map(({ uid }: { uid: string }) => uid);
	expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
	expect(panels.filter(({ datasource }) => !sources.includes(datasource.uid))).toEqual([]);
	for (const { panels } of dashboards) {
		expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
		const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
			Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
		);
		expect(new Set(cells).size).toBe(cells.length);
		expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
	}
});

describeWith(["nats-server", "redis-server", "prometheus"], "metrics of a cluster", () => {
	let place: string;
	let cluster: Cluster;
	let prometheus: Prometheus;
	beforeAll(async () => {
		place = mkdtempSync(join(tmpdir(), "moleculer-commerce-figures-"));
		cluster = await startCluster({
			services: domains,
			env: { RATE_LIMIT_ENABLED: "false", LOG_FORMAT: "json", LOGLEVEL: "info" },
		});
		const ports: Record<string, number> = {};
		for (const kind of Object.keys(KINDS)) ports[kind] = await freePort();
		await Promise.all(
			Object.entries(KINDS).map(([kind, services]) =>
				cluster.start(kind, services.split(","), { HEALTH_PORT: String(ports[kind]) }),
			),
		);
		// Most queries use rates, so counters must grow between two scrapes.
		await generateActivity(cluster);
		prometheus = await startPrometheus(place, ports);
		const holds = (expr: string, times: number) =>
			eventually(async () => expect(await prometheus.query(expr)).toHaveLength(times));
		await holds("count_over_time(up[1m]) >= 2", Object.keys(ports).length);
		await generateActivity(cluster);
		// The last action, in the metrics of the orders node and of the gateway.
		await holds('increase(shop_orders_cancelled_total{reason="REQUESTED"}[1m]) > 0', 1);
		await holds('increase(shop_http_requests_total{route="/api/orders/:id/cancel"}[1m]) > 0', 1);
	});
	afterAll(async () => {
		await prometheus?.stop();
		await cluster?.stop();
		await rm(place, { recursive: true, force: true });
	});

	test("every panel has data, and its legend uses existing labels", async () => {
		const empty: string[] = [];
		for (const { where, expr, legendFormat = "" } of queries) {
			const result = await prometheus.query(resolved(expr));
			if (result.length === 0) empty.push(`${where}: ${expr}`);
			const missing = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].filter(
				([, label]) => !expr.includes(label!),
			);
			if (missing.length > 0) empty.push(`${where}: ${legendFormat}`);
		}
		expect(empty).toEqual([]);
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
		await eventually(() => expect(lines().filter(isOrder)).toHaveLength(8));
		const invalid = lines().filter((line) =>
			["timestamp", "level", "logger", "service", "message"].some(
				(field) => typeof line[field] !== "string",
			),
		);
		expect(invalid).toEqual([]);
	});
});

/** Creates orders with every outcome, and other activity that metrics count. */
async function generateActivity(cluster: Cluster): Promise<void> {
	const admin = await makeAdmin(cluster);
	const { token } = await register(cluster);
	const product = await makeProduct(cluster, admin, { stock: 3 });
	const order = (overrides: object = {}) => placeOrder(cluster, { token }, product, overrides);
	const { body: first } = await order();
	await order();
	await order({ payment_token: "tok_declined" });
	await order({ shipping_address: "Undeliverable 1" });
	for (let i = 0; i < 3; i++) await cluster.http(`GET /api/products/${product.id}`);
	await cluster.http("GET /api/nothing");
	await cluster.http("GET /health");
	// The audit skips new orders, whose mails may still be pending.
	await cluster.call("orders.audit", {});
	await cluster.http(`POST /api/orders/${first.id}/cancel`, { token });
}
