import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { KINDS } from "../../tools/chaos/cluster.ts";
import { allMetrics } from "../../tools/documents/metrics.ts";
import { START_MS } from "../e2e/shape.ts";
import { makeAdmin, makeProduct, register } from "../support/builders.ts";
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

/** A query as Grafana sends it. */
const filledIn = (expr: string) => expr.replaceAll("$__rate_interval", "1m");
const WORDS = new Set([
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
/** Metrics that an expression names, each with the labels that it expects of it. */
function namedIn(expr: string): Map<string, Set<string>> {
	const bare = expr.replace(/"[^"]*"/g, '""').replace(/\[[^\]]*\]/g, "");
	const grouped = [...bare.matchAll(/\b(?:by|without|on)\s*\(([^)]*)\)/g)].flatMap(([, list]) =>
		list!.split(",").map((one) => one.trim()),
	);
	const found = new Map<string, Set<string>>();
	const selectors = bare.replace(/\b(?:by|without|on)\s*\([^)]*\)/g, "");
	for (const [, name = "", matchers = ""] of selectors.matchAll(
		/\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?/g,
	)) {
		if (WORDS.has(name) || /^\d/.test(name)) continue;
		if (new RegExp(`[{,]\\s*${name}\\s*[=!]`).test(selectors)) continue;
		const labels = [...matchers.matchAll(/(\w+)\s*(?:=|!)/g)].map(([, label]) => label!);
		found.set(name, new Set([...(found.get(name) ?? []), ...labels, ...grouped]));
	}
	return found;
}

test("what an expression names is found", () => {
	const named = namedIn(
		'histogram_quantile(0.9, sum by (route, le) (rate(a_bucket{x="y(z)"}[5m]))) > 0 or max(b)',
	);
	expect([...named].map(([name, labels]) => [name, ...labels])).toEqual([
		["a_bucket", "x", "route", "le"],
		["b", "route", "le"],
	]);
});

test("dashboards have names of their own, panels that do not lie on each other, and a source that is there", () => {
	const { datasources } = parse(readFileSync(join(folder, "grafana/datasources.yml"), "utf8"));
	const sources = datasources.map(({ uid }: { uid: string }) => uid);
	expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
	expect(panels.filter(({ datasource }) => !sources.includes(datasource.uid))).toEqual([]);
	for (const { panels } of dashboards) {
		expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
		const taken = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
			Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
		);
		expect(new Set(taken).size).toBe(taken.length);
		expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
	}
});

describeWith(
	["nats-server", "redis-server", "prometheus"],
	"what a cluster tells Prometheus",
	() => {
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
			// Most queries are about growth: what is there at the first scrape has to be more at a later one.
			await useTheShop(cluster);
			prometheus = await startPrometheus(place, ports);
			const holds = (expr: string, times: number) =>
				eventually(
					async () => expect(await prometheus.query(expr)).toHaveLength(times),
					START_MS / 1000,
				);
			await holds("count_over_time(up[1m]) >= 2", Object.keys(ports).length);
			await useTheShop(cluster);
			// The last that was done, as the node of orders and as the gateway tell of it.
			await holds('increase(shop_orders_cancelled_total{reason="REQUESTED"}[1m]) > 0', 1);
			await holds('increase(shop_http_requests_total{route="/api/orders/:id/cancel"}[1m]) > 0', 1);
		}, START_MS);
		afterAll(async () => {
			await prometheus?.stop();
			await cluster?.stop();
			await rm(place, { recursive: true, force: true });
		}, START_MS);

		test("every panel shows something, and its legend names labels that are there", async () => {
			const empty: string[] = [];
			for (const { where, expr, legendFormat = "" } of queries) {
				const result = await prometheus.query(filledIn(expr));
				if (result.length === 0) empty.push(`${where}: ${expr}`);
				const missing = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].filter(
					([, label]) => !expr.includes(label!),
				);
				if (missing.length > 0) empty.push(`${where}: ${legendFormat}`);
			}
			expect(empty).toEqual([]);
		});

		test("every metric and label that a panel or an alert names is told by some node", async () => {
			const rules = await prometheus.rules();
			expect(rules.length).toBeGreaterThan(0);
			const expressions = [
				...queries.map(({ where, expr }) => [where, filledIn(expr)]),
				...rules.map(({ name, query }) => [name, query]),
			];
			const known = new Map<string, ReadonlySet<string>>();
			const wrong: string[] = [];
			for (const [where, expr] of expressions) {
				const named = namedIn(expr!);
				named.delete("ALERTS");
				for (const [metric] of named)
					if (!known.has(metric)) known.set(metric, await prometheus.labels(metric));
				const together = new Set([...named.keys()].flatMap((metric) => [...known.get(metric)!]));
				for (const [metric, labels] of named) {
					if (known.get(metric)!.size === 0) wrong.push(`${where}: nobody tells ${metric}`);
					for (const label of labels)
						if (!together.has(label)) wrong.push(`${where}: ${metric} has no label ${label}`);
				}
			}
			expect(wrong).toEqual([]);
		});

		test("every rule can be evaluated, and a shop that is well has nothing to tell", async () => {
			await eventually(async () => {
				const rules = await prometheus.rules();
				expect(
					rules
						.filter(({ health }) => health !== "ok")
						.map(({ name, lastError }) => `${name}: ${lastError}`),
				).toEqual([]);
			});
			expect(
				(await prometheus.query('ALERTS{alertstate="firing"}')).map(
					({ metric }) => metric.alertname,
				),
			).toEqual([]);
		});

		test("every metric that is declared is told, with the labels that are declared and no others", async () => {
			const given = ["__name__", "app", "instance", "job", "le"];
			for (const { name, type, labels = [] } of await allMetrics()) {
				const told = await prometheus.labels(type === "histogram" ? `${name}_count` : name);
				expect([name, ...[...told].filter((label) => !given.includes(label)).sort()]).toEqual([
					name,
					...[...labels].sort(),
				]);
				expect([name, told.size]).not.toEqual([name, 0]);
			}
		});

		test("no label holds an id, a path or an address, so that there is an end to them", async () => {
			const all = await prometheus.query('{job="shop", __name__=~"shop_.+"}');
			const values = all.flatMap(({ metric }) =>
				Object.entries(metric).filter(([label]) => !["node", "instance"].includes(label)),
			);
			expect(values.filter(([, value]) => /[0-9a-f]{8}-[0-9a-f]{4}|@|\?/.test(value))).toEqual([]);
		});

		test("every line of every node is JSON with the usual fields, and each request has one", async () => {
			const lines = () =>
				cluster
					.log()
					.split("\n")
					.filter(Boolean)
					.map((line) => JSON.parse(line) as Record<string, unknown>);
			const ordered = ({ logger, method, path }: Record<string, unknown>) =>
				logger === "access" && method === "POST" && path === "/api/orders";
			await eventually(() => expect(lines().filter(ordered)).toHaveLength(8));
			const strange = lines().filter((line) =>
				["timestamp", "level", "logger", "service", "message"].some(
					(field) => typeof line[field] !== "string",
				),
			);
			expect(strange).toEqual([]);
		});
	},
);

/** Orders of every end, and what else leaves a trace in the figures. */
async function useTheShop(cluster: Cluster): Promise<void> {
	const admin = await makeAdmin(cluster);
	const { token } = await register(cluster);
	const product = await makeProduct(cluster, admin, { stock: 3 });
	const items = [{ product_id: product.id, quantity: 1 }];
	const order = (body: object) =>
		cluster.http("POST /api/orders", { token, body: { items, ...body } });
	const { body: first } = await order({});
	await order({});
	await order({ payment_token: "tok_declined" });
	await order({ shipping_address: "Undeliverable 1" });
	for (let i = 0; i < 3; i++) await cluster.http(`GET /api/products/${product.id}`);
	await cluster.http("GET /api/nothing");
	await cluster.http("GET /health");
	// What has just been ordered is left in peace: its mails may still be on their way, and that is no violation.
	await cluster.call("orders.audit", {});
	await cluster.http(`POST /api/orders/${first.id}/cancel`, { token });
}
