import { escapeHtml } from "../../lib/text/html.ts";
import { box, text } from "../chaos/svg.ts";
import { sum } from "./measure.ts";
import type { Findings, Row } from "./rounds.ts";

const [WIDTH, HEIGHT, LEFT, TOP] = [380, 170, 46, 16];
const COLORS = [
	"#3b7fc4",
	"#d9923c",
	"#3a9d5d",
	"#7a5fb0",
	"#c8453b",
	"#4ab0b0",
	"#a0764c",
	"#d977a8",
	"#7f8c3c",
	"#5b6bd0",
	"#888888",
	"#30506e",
	"#b8b03c",
];
const LATENCIES = ["p50", "p95", "p99"] as const;

interface Bar {
	/** Bars of one group are drawn side by side. */
	readonly group: string;
	readonly title: string;
	/** Stacked from bottom to top. */
	readonly segments: readonly {
		readonly name: string;
		readonly value: number;
		readonly color: string;
	}[];
}

/** Grouped, stacked bar chart as an HTML figure. */
function barChart(title: string, unit: string, allBars: readonly Bar[]): string {
	const groups = [...new Set(allBars.map(({ group }) => group))];
	const highest = Math.max(
		1e-9,
		...allBars.map(({ segments }) => segments.reduce((total, { value }) => total + value, 0)),
	);
	const scale = HEIGHT / highest;
	const groupWidth = (WIDTH - LEFT) / groups.length;
	const drawn = groups.flatMap((group, g) => {
		const members = allBars.filter((bar) => bar.group === group);
		const width = (groupWidth - 14) / members.length;
		const columns = members.flatMap(({ title, segments }, n) => {
			let top = TOP + HEIGHT;
			return segments.map(({ name, value, color }) => {
				top -= value * scale;
				const label = `${title}, ${name}: ${formatNumber(value)} ${unit}`;
				return box(
					LEFT + g * groupWidth + 7 + n * width,
					top,
					Math.max(1, width - 1),
					value * scale,
					color,
					label,
				);
			});
		});
		return [
			...columns,
			text(LEFT + (g + 0.5) * groupWidth, TOP + HEIGHT + 14, escapeHtml(group), "middle"),
		];
	});
	const ticks = [0, 0.5, 1].map((share) =>
		text(LEFT - 4, TOP + HEIGHT * (1 - share) + 4, formatNumber(highest * share), "end"),
	);
	return figure(title, unit, [...ticks, ...drawn]);
}

/** Line chart over minutes with one line per name, as an HTML figure. */
export function lineChart(
	title: string,
	unit: string,
	series: readonly { name: string; points: readonly { x: number; y: number }[] }[],
): string {
	const names = series.map(({ name }) => name);
	const color = colorScale(names);
	const points = series.flatMap(({ points }) => points);
	const [longest, highest] = [
		Math.max(1e-9, ...points.map(({ x }) => x)),
		Math.max(1e-9, ...points.map(({ y }) => y)),
	];
	const place = ({ x, y }: { x: number; y: number }) => {
		const left = LEFT + (x / longest) * (WIDTH - LEFT);
		const top = TOP + HEIGHT * (1 - y / highest);
		return `${left.toFixed(1)},${top.toFixed(1)}`;
	};
	const drawn = series.map(({ name, points }) => {
		const stroke = `fill="none" stroke="${color(name)}" stroke-width="1.5"`;
		const places = points.map(place).join(" ");
		return `<polyline points="${places}" ${stroke}><title>${escapeHtml(name)}</title></polyline>`;
	});
	const ticks = [0, 0.5, 1].map((share) =>
		text(LEFT - 4, TOP + HEIGHT * (1 - share) + 4, formatNumber(highest * share), "end"),
	);
	const end = text(WIDTH, TOP + HEIGHT + 14, `${formatNumber(longest)} min`, "end");
	return figure(title, unit, [...ticks, ...drawn, end]) + legend(names, color);
}

const figure = (title: string, unit: string, drawn: readonly string[]) =>
	`<figure><figcaption>${escapeHtml(title)}, ${unit}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${TOP + HEIGHT + 20}" role="img" aria-label="${escapeHtml(title)}">
${drawn.join("\n")}</svg></figure>`;

const formatNumber = (n: number): string =>
	n >= 100 ? n.toFixed(0) : n >= 1 ? n.toFixed(1) : n.toFixed(3);
const legend = (names: readonly string[], color: (name: string) => string) => {
	const entries = names.map(
		(name) => `<i style="background:${color(name)}"></i>${escapeHtml(name)}`,
	);
	return `<p>${entries.join(" ")}</p>`;
};
const loadOf = ({ buyers, offered }: Row) =>
	offered === null ? `${buyers} buyers` : `${buyers} buyers, ${offered}/s`;

/** Returns a function that assigns a color to each name. */
const colorScale = (names: readonly string[]) => (name: string) =>
	COLORS[names.indexOf(name) % COLORS.length]!;

function table(rows: readonly Row[]): string {
	const head = [
		"scenario",
		"load",
		"target",
		"rate /s",
		"p50 ms",
		"p95 ms",
		"p99 ms",
		"CPU ms/op",
		"generator ms/op",
		"SQL/op",
		"commits/op",
		"MB",
		"errors",
	];
	const body = rows.map((row) => {
		const { median: figures, errors } = row;
		const numbers = [
			figures.rate,
			figures.p50,
			figures.p95,
			figures.p99,
			sum(figures.cpu),
			figures.generator,
			figures.statements,
			figures.commits,
		];
		const failures = Object.entries(errors).map(([status, n]) => `${n} x ${status}`);
		return [
			row.scenario,
			loadOf(row),
			row.target,
			...numbers.map(formatNumber),
			formatNumber(sum(figures.rss)),
			failures.join(", "),
		];
	});
	const cells = (tag: string, row: readonly string[]) =>
		`<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
	return `<table>${cells("th", head)}${body.map((row) => cells("td", row)).join("\n")}</table>`;
}

/** Renders the results as a self-contained HTML page. */
export function resultPage(
	command: string,
	{ rows, violations, checked }: Findings,
	more = "",
): string {
	const targets = [...new Set(rows.map(({ target }) => target))];
	const groups = [...new Set(rows.flatMap(({ median: figures }) => Object.keys(figures.cpu)))];
	const [ofTarget, ofGroup, ofLatency] = [
		colorScale(targets),
		colorScale(groups),
		colorScale(LATENCIES),
	];
	const sections = [...new Set(rows.map(({ scenario }) => scenario))].map((scenario) => {
		const ownRows = rows.filter((row) => row.scenario === scenario);
		const toBars = (segments: (row: Row) => Bar["segments"]) =>
			ownRows.map((row) => ({
				group: loadOf(row),
				title: `${row.target}, ${loadOf(row)}`,
				segments: segments(row),
			}));
		const rates = toBars(({ target, median: figures }) => [
			{ name: "rate", value: figures.rate, color: ofTarget(target) },
		]);
		// Stacked differences: the top of each segment is its percentile.
		const latencies = toBars(({ median: figures }) =>
			LATENCIES.map((name, n) => ({
				name: `up to ${name}`,
				value: figures[name] - (n > 0 ? figures[LATENCIES[n - 1]!] : 0),
				color: ofLatency(name),
			})),
		);
		const cpu = toBars(({ median: figures }) =>
			Object.entries(figures.cpu).map(([name, value]) => ({ name, value, color: ofGroup(name) })),
		);
		const charts = [
			barChart("Rate", "operations/s", rates),
			barChart("Latency", "ms", latencies),
			barChart("CPU per operation", "ms", cpu),
		];
		return `<section><h2>${escapeHtml(scenario)}</h2>${charts.join("")}</section>`;
	});
	const checkedOrders = Object.entries(checked).map(([target, n]) => `${n} of ${target}`);
	const verdict = violations.length === 0 ? "No violations" : `${violations.length} violations`;
	return `<!doctype html>
<meta charset="utf-8"><title>${escapeHtml(command)}</title>
<style>body{font:14px system-ui;margin:24px}
section{display:flex;flex-wrap:wrap;align-items:end}
h1{font-size:18px}h2{width:100%;margin:20px 0 4px;font-size:16px}
figure{margin:0 12px 0 0;width:400px}text{font-size:10px;fill:#555}
i{display:inline-block;width:12px;height:12px;margin:0 4px 0 12px}
table{border-collapse:collapse;margin-top:24px}
th,td{padding:2px 8px;text-align:right;border-bottom:1px solid #ddd}</style>
<h1>${escapeHtml(command)}</h1>
<p>${verdict} (checked orders: ${escapeHtml(checkedOrders.join(", "))}). Bars of one group appear in
the order of the targets: ${escapeHtml(targets.join(", "))}. Hover over a bar for its figures.</p>
${legend(targets, ofTarget)}${legend(LATENCIES, ofLatency)}${legend(groups, ofGroup)}
${sections.join("\n")}
${more}
${table(rows)}
${violations.length > 0 ? `<pre>${violations.map(escapeHtml).join("\n")}</pre>` : ""}
`;
}
