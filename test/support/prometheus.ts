import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { findServer } from "../../tools/chaos/servers.ts";
import { observabilityFolder } from "./dashboards.ts";
import { eventually } from "./eventually.ts";
import { freePort, startProcess } from "./processes.ts";

interface Rule {
	readonly name: string;
	readonly query: string;
	readonly health: string;
	readonly lastError?: string;
}
/** Prometheus with the deployed configuration, which scrapes given nodes. */
export interface Prometheus {
	/** Current samples of an expression. @throws if the expression is invalid */
	query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
	/** Label names of a metric. */
	labels(metric: string): Promise<ReadonlySet<string>>;
	rules(): Promise<Rule[]>;
	stop(): Promise<void>;
}

/**
 * Starts Prometheus.
 * @param place folder for its configuration, data and log
 * @param nodes health port of each node by the value of its label `app`
 */
export async function startPrometheus(
	place: string,
	nodes: Readonly<Record<string, number>>,
): Promise<Prometheus> {
	mkdirSync(place, { recursive: true });
	const config = parse(readFileSync(join(observabilityFolder, "prometheus.yml"), "utf8"));
	const targets = Object.entries(nodes).map(([app, port]) => ({
		targets: [`127.0.0.1:${port}`],
		labels: { app },
	}));
	// As deployed, except for the targets and the scrape interval.
	Object.assign(config.global, {
		scrape_interval: "1s",
		scrape_timeout: "1s",
		evaluation_interval: "1s",
	});
	config.rule_files = config.rule_files.map((name: string) => join(observabilityFolder, name));
	config.scrape_configs = [
		{ job_name: config.scrape_configs[0].job_name, static_configs: targets },
	];
	writeFileSync(join(place, "prometheus.yml"), stringify(config));

	const port = await freePort();
	const server = startProcess({
		name: "prometheus",
		file: findServer("prometheus")!,
		args: [
			`--config.file=${join(place, "prometheus.yml")}`,
			`--storage.tsdb.path=${join(place, "tsdb")}`,
			`--web.listen-address=127.0.0.1:${port}`,
		],
		log: join(place, "prometheus.log"),
	});
	async function get<T>(path: string, params: Record<string, string> = {}): Promise<T> {
		const response = await fetch(
			`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(params)}`,
		);
		const { status, data, error } = (await response.json()) as {
			status: string;
			data: T;
			error?: string;
		};
		if (status !== "success") throw new Error(`${JSON.stringify(params)}: ${error}`);
		return data;
	}
	await Promise.race([server.failure, eventually(() => get("query", { query: "1" }))]);
	return {
		query: async (expr) =>
			(await get<{ result: Awaited<ReturnType<Prometheus["query"]>> }>("query", { query: expr }))
				.result,
		async labels(metric) {
			const series = await get<Record<string, string>[]>("series", { "match[]": metric });
			return new Set(series.flatMap((one) => Object.keys(one)));
		},
		rules: async () =>
			(await get<{ groups: { rules: Rule[] }[] }>("rules")).groups.flatMap(({ rules }) => rules),
		stop: () => server.kill(),
	};
}
