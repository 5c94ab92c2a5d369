import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { parse } from "yaml";
import { dashboards, metricsIn, observabilityFolder, panels } from "../support/dashboards.ts";

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
	const { datasources } = parse(
		readFileSync(join(observabilityFolder, "grafana/datasources.yml"), "utf8"),
	);
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
