import { progressBar } from "../progress-bar.ts";

const WIDTH = 30;

interface Progress {
	/** Parts that are complete, and all parts, in any unit. */
	readonly done: number;
	readonly total: number;
	readonly rows: number;
	/** Seconds since the start. */
	readonly seconds: number;
}

/** A bar with the percentage, rows, rows per second and the remaining time. */
export function progressLine({ done, total, rows, seconds }: Progress): string {
	const part = total === 0 ? 1 : Math.min(1, done / total);
	const rate = seconds > 0 ? Math.round(rows / seconds) : 0;
	const percent = String(Math.round(part * 100)).padStart(3);
	const left = part > 0 && part < 1 ? `  ${duration((seconds * (1 - part)) / part)} left` : "";
	return `${progressBar(part, WIDTH)} ${percent} %  ${count(rows)} rows  ${count(rate)}/s${left}`;
}

const count = (n: number): string => n.toLocaleString("en");

/** Seconds as minutes and seconds, rounded up: 1:05. */
function duration(seconds: number): string {
	const whole = Math.ceil(seconds);
	return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
