import { escapeHtml } from "../../lib/text/html.ts";
import type { InjectedFault } from "./faults.ts";
import type { ChaosResult } from "./run.ts";
import { box, text } from "./svg.ts";

const [LEFT, WIDTH, HEIGHT, LANE] = [90, 1080, 220, 20];
const COLORS = {
	done: "#3a9d5d",
	refused: "#d9b23c",
	failed: "#c8453b",
	kill: "#c8453b",
	pause: "#7a5fb0",
	restart: "#3b7fc4",
} as const;

/** The timeline of a run as a self-contained page: requests per second, latency and faults. */
export function reportPage(
	title: string,
	{ faults, tally, findings, settledAfter }: ChaosResult,
): string {
	const seconds = tally.seconds();
	const length = Math.max(seconds.length, ...faults.map(({ until }) => Math.ceil(until)));
	const x = (second: number) => LEFT + (second / length) * WIDTH;
	const most = Math.max(1, ...seconds.map(({ done, refused, failed }) => done + refused + failed));
	const slowest = Math.max(1, ...seconds.map(({ p95 }) => p95));
	const names = [...new Set(faults.map(({ target }) => target))].sort();
	const bars = seconds.flatMap((second, n) => {
		let top = HEIGHT;
		return (["done", "refused", "failed"] as const).map((outcome) => {
			const height = (second[outcome] / most) * HEIGHT;
			top -= height;
			return box(
				x(n),
				top,
				WIDTH / length - 1,
				height,
				COLORS[outcome],
				`second ${n}: ${second[outcome]} ${outcome}`,
			);
		});
	});
	const line = seconds
		.map(
			({ p95 }, n) => `${x(n + 0.5).toFixed(1)},${(HEIGHT - (p95 / slowest) * HEIGHT).toFixed(1)}`,
		)
		.join(" ");
	const lane = (fault: InjectedFault) => {
		const width = Math.max(3, x(fault.until) - x(fault.at));
		const y = HEIGHT + 36 + names.indexOf(fault.target) * LANE;
		return box(
			x(fault.at),
			y,
			width,
			LANE - 6,
			COLORS[fault.kind],
			`${fault.kind} ${fault.target}, ${fault.at.toFixed(1)} to ${fault.until.toFixed(1)} s`,
		);
	};
	const ticks = Array.from({ length: Math.floor(length / 5) + 1 }, (_, n) =>
		text(x(n * 5), HEIGHT + 16, `${n * 5} s`, "middle"),
	);
	const labels = names.map((name, n) => text(LEFT - 8, HEIGHT + 47 + n * LANE, name, "end"));
	const height = HEIGHT + 50 + names.length * LANE;
	const conclusion =
		findings.length === 0
			? `no violation, settled after ${settledAfter.toFixed(1)} s`
			: `${findings.length} violations`;
	const details = findings.map(({ invariant, subject, detail }) =>
		escapeHtml(`${invariant}  ${subject}  ${detail}`),
	);
	const label = "Requests, latency and faults over time";
	return `<!doctype html>
<meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>body{font:14px system-ui;margin:24px;max-width:1220px}text{font-size:11px;fill:#555}
i{display:inline-block;width:12px;height:12px;margin:0 4px 0 14px}</style>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(conclusion)}</p>
<svg viewBox="0 0 ${LEFT + WIDTH + 10} ${height}" role="img" aria-label="${label}">
${text(LEFT - 8, 12, `${most} / s`, "end")}${text(LEFT - 8, 26, `${slowest} ms`, "end")}
${bars.join("\n")}
<polyline points="${line}" fill="none" stroke="#222" stroke-width="1.5">
<title>95th percentile of the latency</title></polyline>
${ticks.join("")}${labels.join("")}
${faults.map(lane).join("\n")}
</svg>
<p>${Object.entries(COLORS)
		.map(
			([name, color]) =>
				`<i style="background:${color}"></i>${name === "done" ? "succeeded" : name}`,
		)
		.join("")}<i style="background:#222"></i>95th percentile of the latency</p>
${details.length > 0 ? `<pre>${details.join("\n")}</pre>` : ""}
`;
}
