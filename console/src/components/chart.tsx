import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../theme.ts";

/** Custom properties with the colors of lines. */
const COLORS = ["--accent", "--good", "--bad", "--warn"];
const HEIGHT = 220;

interface ChartProps {
	/** Describes the chart for screen readers, with its most important values. */
	readonly label: string;
	/** Seconds since 1970, ascending. */
	readonly times: readonly number[];
	/** One line for each name, with one value for each time. */
	readonly lines: Readonly<Record<string, readonly number[]>>;
	format(value: number): string;
}

/** A chart of values over time. The legend shows the values at the pointer. */
export function Chart({ label, times, lines, format }: ChartProps) {
	const element = useRef<HTMLDivElement>(null);
	const chart = useRef<uPlot>(undefined);
	const names = Object.keys(lines).join("\n");
	const scheme = theme.value;
	const data = [times, ...Object.values(lines)] as unknown as uPlot.AlignedData;
	useEffect(() => {
		const target = element.current!;
		const color = (name: string) => getComputedStyle(target).getPropertyValue(name).trim();
		const axis = {
			stroke: color("--muted"),
			grid: { stroke: color("--line"), width: 1 },
			ticks: { show: false },
		};
		const plot = new uPlot(
			{
				width: target.clientWidth,
				height: HEIGHT,
				series: [
					{},
					...names.split("\n").map((name, i) => ({
						label: name,
						stroke: color(COLORS[i % COLORS.length]!),
						width: 2,
						points: { show: false },
						value: (_: uPlot, value: number | null) => (value === null ? "–" : format(value)),
					})),
				],
				axes: [
					axis,
					{ ...axis, size: 70, values: (_, values) => values.map((value) => format(value)) },
				],
				scales: { y: { range: (_, __, max) => [0, Math.max(max, 1) * 1.05] } },
				cursor: { drag: { x: false, y: false } },
			},
			data,
			target,
		);
		chart.current = plot;
		const resized = new ResizeObserver(() =>
			plot.setSize({ width: target.clientWidth, height: HEIGHT }),
		);
		resized.observe(target);
		return () => {
			resized.disconnect();
			plot.destroy();
		};
	}, [names, scheme]);
	useEffect(() => chart.current?.setData(data), [data]);
	return <div ref={element} class="chart" role="img" aria-label={label} />;
}
