import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./databases.ts";

/** Folder of the deployed configuration of Prometheus and Grafana. */
export const observabilityFolder = join(root, "deploy/observability");
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
export const dashboards: Dashboard[] = readdirSync(
	join(observabilityFolder, "grafana/dashboards"),
).map((file) =>
	JSON.parse(readFileSync(join(observabilityFolder, "grafana/dashboards", file), "utf8")),
);
/** Panels of all dashboards. */
export const panels = dashboards.flatMap(({ title, panels }) =>
	panels.map((panel) => ({ ...panel, dashboard: title })),
);
/** Queries of all panels, each with its dashboard and panel. */
export const queries = panels.flatMap(({ dashboard, title, targets }) =>
	targets.map((target) => ({ where: `${dashboard}, ${title}`, ...target })),
);

/** Query with Grafana's variables replaced. */
export const resolved = (expr: string) => expr.replaceAll("$__rate_interval", "1m");
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
export function metricsIn(expr: string): Map<string, Set<string>> {
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
