import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { findServer } from "../../tools/chaos/cluster.ts";
import { root } from "./databases.ts";
import { eventually } from "./eventually.ts";
import { freePort, startProcess } from "./processes.ts";

const folder = join(root, "deploy/observability");

export interface Rule {
	readonly name: string;
	readonly query: string;
	readonly health: string;
	readonly lastError?: string;
}
/** A Prometheus of a test's own, with the shop's configuration, that asks these nodes. */
export interface Prometheus {
	/** The samples that an expression finds now. @throws what is wrong with the expression */
	query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
	/** The names of the labels of a metric. */
	labels(metric: string): Promise<ReadonlySet<string>>;
	rules(): Promise<Rule[]>;
	stop(): Promise<void>;
}

/** @param nodes the port of each node's figures, by what it runs */
export async function startPrometheus(
	place: string,
	nodes: Readonly<Record<string, number>>,
): Promise<Prometheus> {
	mkdirSync(place, { recursive: true });
	const config = parse(readFileSync(join(folder, "prometheus.yml"), "utf8"));
	const targets = Object.entries(nodes).map(([app, port]) => ({
		targets: [`127.0.0.1:${port}`],
		labels: { app },
	}));
	// As it is deployed, but for where the nodes are and how often they are asked.
	Object.assign(config.global, {
		scrape_interval: "1s",
		scrape_timeout: "1s",
		evaluation_interval: "1s",
	});
	config.rule_files = config.rule_files.map((name: string) => join(folder, name));
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
	async function ask<T>(path: string, params: Record<string, string> = {}): Promise<T> {
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
	await Promise.race([server.failure, eventually(() => ask("query", { query: "1" }))]);
	return {
		query: async (expr) =>
			(await ask<{ result: Awaited<ReturnType<Prometheus["query"]>> }>("query", { query: expr }))
				.result,
		async labels(metric) {
			const series = await ask<Record<string, string>[]>("series", { "match[]": metric });
			return new Set(series.flatMap((one) => Object.keys(one)));
		},
		rules: async () =>
			(await ask<{ groups: { rules: Rule[] }[] }>("rules")).groups.flatMap(({ rules }) => rules),
		stop: () => server.kill(),
	};
}
