import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { parse, stringify } from "yaml";
import { root } from "../../test/support/databases.ts";
import { describeWith } from "../../test/support/servers.ts";
import { findServer } from "../../tools/chaos/servers.ts";

interface Rule {
	readonly alert: string;
	readonly labels: { readonly severity: string };
	readonly annotations: { readonly summary: string; readonly runbook_url: string };
}
const file = join(root, "deploy/observability/alerts.yml");
const rules: Rule[] = parse(readFileSync(file, "utf8")).groups.flatMap(
	({ rules }: { rules: Rule[] }) => rules,
);
const operations = readFileSync(join(root, "docs/operations.md"), "utf8");

/** Values per minute in Prometheus' notation: `1+2x30` starts with 1 and adds 2 thirty times. */
type Series = Readonly<Record<string, string>>;
interface Case {
	/** Values that fire the alert. */
	readonly bad: Series;
	/** Minutes after which the alert fires; it never fires within the first minute. */
	readonly at: number;
	/** Labels of the fired alert. */
	readonly labels?: Readonly<Record<string, string>>;
	/** Similar values that do not fire the alert. */
	readonly good: Series;
}

const requests = (status: number, rest = "") =>
	`shop_http_requests_total{method="GET",route="/",status="${status}"${rest}}`;
const bucket = (le: string) =>
	`shop_http_request_duration_seconds_bucket{method="GET",route="/",le="${le}"}`;
const node = 'app="orders",instance="10.0.0.1:3030"';
const server = (name: string): Pick<Case, "bad" | "good" | "labels"> => ({
	bad: { [`shop_server_up{${node},server="${name}"}`]: "1 1 0x30" },
	good: { [`shop_server_up{${node},server="${name}"}`]: "1 0 1x30" },
	labels: { app: "orders" },
});

const cases: Readonly<Record<string, Case>> = {
	ShopErrorRateHigh: {
		bad: { [requests(200)]: "0+90x30", [requests(503)]: "0+10x30" },
		at: 10,
		good: { [requests(200)]: "0+90x30", [requests(503)]: "0+1x30", [requests(404)]: "0+500x30" },
	},
	ShopSlow: {
		bad: { [bucket("1")]: "0+90x30", [bucket("5")]: "0+100x30", [bucket("+Inf")]: "0+100x30" },
		at: 12,
		labels: { method: "GET", route: "/" },
		good: { [bucket("1")]: "0+995x30", [bucket("5")]: "0+1000x30", [bucket("+Inf")]: "0+1000x30" },
	},
	ShopOrdersNotConfirmed: {
		bad: {
			'shop_orders_placed_total{currency="EUR"}': "0+5x40",
			'shop_orders_confirmed_total{currency="EUR"}': "7x40",
		},
		at: 20,
		good: {
			'shop_orders_placed_total{currency="EUR"}': "0+5x40",
			'shop_orders_confirmed_total{currency="EUR"}': "0 0 0+1x40",
		},
	},
	ShopSagasStuck: {
		bad: { shop_sagas_stuck: "0 1x30" },
		at: 2,
		good: { shop_sagas_stuck: "0x30" },
	},
	ShopSagasSlow: {
		bad: { shop_saga_oldest_seconds: "0+60x30" },
		at: 6,
		good: { shop_saga_oldest_seconds: "0 30 60 90 0x30" },
	},
	ShopAuditViolations: {
		bad: { shop_audit_violations_total: "0 0 2x30" },
		at: 5,
		good: { shop_audit_violations_total: "2x30" },
	},
	ShopDeadLetters: {
		bad: {
			'shop_dead_letters{service="orders"}': "0 3x30",
			'shop_dead_letters{service="users"}': "0x30",
		},
		at: 2,
		labels: { service: "orders" },
		good: { 'shop_dead_letters{service="orders"}': "0x30" },
	},
	ShopOutboxLag: {
		bad: { 'shop_outbox_lag_seconds{service="orders"}': "0+60x30" },
		at: 5,
		labels: { service: "orders" },
		good: { 'shop_outbox_lag_seconds{service="orders"}': "0 40 0 40 0x30" },
	},
	ShopConsumerLag: {
		bad: { 'shop_consumer_pending_messages{service="orders"}': "0+900x30" },
		at: 9,
		labels: { service: "orders" },
		good: { 'shop_consumer_pending_messages{service="orders"}': "0 5000 3000 900x30" },
	},
	ShopEventsNearDiscard: {
		bad: {
			'shop_consumer_unread_share{service="orders",instance="a"}': "0.1+0.1x9 1x20",
			'shop_consumer_unread_share{service="users"}': "0.2x30",
		},
		at: 9,
		labels: { service: "orders" },
		good: { 'shop_consumer_unread_share{service="orders"}': "0.1 0.7 0.9 0.3 0.4x30" },
	},
	ShopNodeDown: {
		bad: { [`up{job="shop",${node}}`]: "1 0x30" },
		at: 4,
		labels: { job: "shop", app: "orders", instance: "10.0.0.1:3030" },
		good: { [`up{job="shop",${node}}`]: "1x30", 'up{job="another"}': "0x30" },
	},
	ShopServiceGone: {
		bad: {
			[`up{job="shop",${node}}`]: "1 1 _x30",
			'up{job="shop",app="users",instance="10.0.0.3:3030"}': "1x30",
		},
		at: 10,
		labels: { app: "orders" },
		good: {
			[`up{job="shop",${node}}`]: "1 1 _x30",
			'up{job="shop",app="orders",instance="10.0.0.2:3030"}': "_ 1x30",
		},
	},
	ShopBreakerOpen: {
		bad: {
			'shop_breaker_state{action="payments.charge",node="a"}': "0 2 1 2 2x30",
			'shop_breaker_state{action="x.y",node="a"}': "0x30",
		},
		at: 4,
		labels: { action: "payments.charge" },
		good: { 'shop_breaker_state{action="payments.charge",node="a"}': "0 2 0x30" },
	},
	ShopPoolExhausted: {
		bad: { [`shop_database_pool_waiting{${node},service="orders"}`]: "0 7x30" },
		at: 4,
		labels: { app: "orders", instance: "10.0.0.1:3030", service: "orders" },
		good: { [`shop_database_pool_waiting{${node},service="orders"}`]: "0 7 0x30" },
	},
	ShopEventLoopLag: {
		bad: { [`nodejs_eventloop_lag_p99_seconds{${node}}`]: "0.01 0.4x30" },
		at: 8,
		labels: { app: "orders", instance: "10.0.0.1:3030" },
		good: { [`nodejs_eventloop_lag_p99_seconds{${node}}`]: "0.4 0.4 0.01x30" },
	},
	ShopMemoryHigh: {
		bad: { [`process_resident_memory_bytes{${node}}`]: "240000000x30" },
		at: 12,
		labels: { app: "orders", instance: "10.0.0.1:3030" },
		good: { [`process_resident_memory_bytes{${node}}`]: "130000000x30" },
	},
	ShopPostgresUnreachable: { ...server("postgres"), at: 4 },
	ShopNatsUnreachable: { ...server("nats"), at: 4 },
	ShopRedisUnreachable: { ...server("redis"), at: 5 },
};

const inputs = (series: Series) =>
	Object.entries(series).map(([name, values]) => ({ series: name, values }));
/** Tests in promtool's format. Annotations come from the rules. */
function testsOf({ alert, labels, annotations }: Rule): object[] {
	const { bad, at, labels: caseLabels = {}, good } = cases[alert]!;
	const fired = { exp_labels: { ...labels, ...caseLabels }, exp_annotations: annotations };
	return [
		{
			interval: "1m",
			input_series: inputs(bad),
			alert_rule_test: [
				{ eval_time: "30s", alertname: alert, exp_alerts: [] },
				{ eval_time: `${at}m`, alertname: alert, exp_alerts: [fired] },
			],
		},
		{
			interval: "1m",
			input_series: inputs(good),
			alert_rule_test: Array.from({ length: 30 }, (_, i) => ({
				eval_time: `${i}m`,
				alertname: alert,
				exp_alerts: [],
			})),
		},
	];
}

test("every alert links to a runbook entry with Meaning, Look and Do", () => {
	expect(rules.length).toBeGreaterThan(0);
	expect(Object.keys(cases).sort()).toEqual(rules.map(({ alert }) => alert).sort());
	for (const { alert, labels, annotations } of rules) {
		expect(["critical", "warning"]).toContain(labels.severity);
		expect(annotations.summary).toMatch(/^[A-Z]/);
		expect(annotations.runbook_url).toBe(`docs/operations.md#${alert.toLowerCase()}`);
		const entry =
			new RegExp(`^### ${alert}\n([\\s\\S]*?)(?=\n##|$(?![\\s\\S]))`, "m").exec(operations)?.[1] ??
			"";
		expect(entry).toContain(annotations.summary);
		for (const part of ["Meaning", "Look", "Do"])
			expect(entry).toMatch(new RegExp(`^- \\*\\*${part}:\\*\\* \\S`, "m"));
	}
	const entries = [...operations.matchAll(/^### (Shop\w+)$/gm)].map(([, name]) => name);
	expect(entries.sort()).toEqual(rules.map(({ alert }) => alert).sort());
});

describeWith(["promtool"], "alerts, evaluated by promtool", () => {
	test.each(rules.map((rule) => [rule.alert, rule] as const))(
		"%s fires for bad values after its delay, and never for good values",
		(_, rule) => {
			const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-alerts-"));
			try {
				const path = join(folder, "tests.yml");
				writeFileSync(
					path,
					stringify({ rule_files: [file], evaluation_interval: "10s", tests: testsOf(rule) }),
				);
				expect(() =>
					execFileSync(findServer("promtool")!, ["test", "rules", path], {
						encoding: "utf8",
						stdio: "pipe",
					}),
				).not.toThrow();
			} finally {
				rmSync(folder, { recursive: true });
			}
		},
	);
});
