import { globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../lib/observability/metrics/catalogue.ts";
import type { Metric } from "../../lib/observability/metrics/registry.ts";
import { noArguments, readCommandLine } from "../../lib/process/command-line.ts";
import { runProgram } from "../../lib/process/lifecycle.ts";

/** Path of the document. */
export const path = join(import.meta.dirname, "../../docs/metrics.md");
const services = join(import.meta.dirname, "../../services");

/** All metrics: the domain-independent ones, then those of each domain. */
export async function allMetrics(): Promise<Metric[]> {
	const files = globSync("*/**/{metrics,*.metrics}.ts", { cwd: services }).sort();
	const modules = (await Promise.all(files.map((file) => import(join(services, file))))) as {
		metrics: Record<string, Metric>;
	}[];
	return [catalogue, ...modules.map(({ metrics }) => metrics)].flatMap((metrics) =>
		Object.values(metrics),
	);
}

const INTRODUCTION = `<!-- Generated from lib/observability/metrics/catalogue.ts and
services/*/**/metrics.ts by npm run docs:metrics. -->

# Metrics

Each node serves these metrics at \`/metrics\` on its \`HEALTH_PORT\`, in Prometheus' text format.
[operations.md](operations.md) describes dashboards and alerts.
`;

/** The document, generated from the declarations. */
export async function document(): Promise<string> {
	const items = (await allMetrics()).map(({ name, type, help, labels = [] }) => {
		const by = labels.length > 0 ? `, by ${labels.map((label) => `\`${label}\``).join(", ")}` : "";
		return `- \`${name}\` (${type}${by}): ${help}`;
	});
	return `${INTRODUCTION}\n${items.join("\n")}\n`;
}

if (import.meta.main)
	runProgram("docs:metrics", async (program) => {
		await readCommandLine(
			program,
			noArguments(
				"npm run docs:metrics --",
				"Writes docs/metrics.md from the declarations of all metrics.",
			),
		);
		writeFileSync(path, await document());
		await program.stop();
	});
