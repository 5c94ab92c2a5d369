import { Readable } from "node:stream";
import { percentile } from "./figures.ts";
import { generateLoad, type LoadResult } from "./load.ts";
import { mapValues, readTargetUsage } from "./measure.ts";
import { scenarios } from "./scenarios.ts";
import { ADMIN, type Shop } from "./shop.ts";
import { waitUntilSettled } from "./target.ts";

/** A parent with three variants. */
const FAMILY_ROWS = 4;
/** Rows of the import that is part of the warm-up. */
const WARMUP_ROWS = 2000;
/** Families in one chunk of the body. */
const CHUNK_FAMILIES = 250;

/** Latency of reads in milliseconds. */
interface Latency {
	readonly p50: number;
	readonly p99: number;
	/** Reads that failed. */
	readonly errors: number;
}
export interface ImportResult {
	readonly target: string;
	readonly rows: number;
	readonly seconds: number;
	/** CPU seconds by process group, including background work afterwards and the reads. */
	readonly cpu: Readonly<Record<string, number>>;
	/** Resident memory in MB by process group: before the import, and each second during it. */
	readonly rss: Readonly<Record<string, readonly number[]>>;
	/** Reads before the import, and beside it. */
	readonly idle: Latency;
	readonly during: Latency;
	readonly violations: readonly string[];
}
interface ImportOptions {
	/** Multiple of four: each product has three variants. */
	readonly rows: number;
	/** Reads per second. */
	readonly rate: number;
	readonly buyers: number;
	/** Duration of the reads before the import, after as long a warm-up of reads. */
	readonly seconds: number;
	onProgress(line: string): void;
}

/**
 * Measures an import into a shop that is warm: it has imported a small file and served reads.
 * Product reads run beside it.
 */
export async function measureImport(
	target: Shop,
	{ rows, rate, buyers, seconds, onProgress }: ImportOptions,
): Promise<ImportResult> {
	const operation = scenarios.product!.operation({ history: target.history, tokens: [] });
	let firstNumber = 0;
	const read = async (seconds: number): Promise<LoadResult> => {
		const load = { url: target.url, operation, buyers, rate, seconds, firstNumber };
		const result = await generateLoad(load);
		firstNumber += result.operations;
		return result;
	};
	const token = await signIn(target.url);

	onProgress("Warming up …");
	await importRows(target.url, token, "WARM", Math.min(rows, WARMUP_ROWS));
	await read(seconds);
	const idle = await read(seconds);
	await waitUntilSettled(target);

	const before = await readTargetUsage(target);
	const samples = [before];
	const started = performance.now();
	let finished: number | undefined;
	const importing = importRows(target.url, token, "BENCH", rows).finally(() => {
		finished = performance.now();
	});
	importing.catch(() => undefined);
	const reads: LoadResult[] = [];
	while (finished === undefined) {
		onProgress(`Importing ${rows} rows: ${samples.length - 1} s`);
		reads.push(await read(1));
		samples.push(await readTargetUsage(target));
	}
	const summary = await importing;
	const settled = await waitUntilSettled(target);
	const after = await readTargetUsage(target);
	const byGroup = <T>(pick: (name: string) => T) => mapValues(after, (_, name) => pick(name));
	return {
		target: target.name,
		rows,
		seconds: (finished - started) / 1000,
		cpu: byGroup((name) => (after[name]!.cpuMs - before[name]!.cpuMs) / 1000),
		rss: byGroup((name) => samples.map((sample) => sample[name]!.rssMb)),
		idle: latencyOf([idle]),
		during: latencyOf(reads),
		violations: [
			...(summary.done && summary.created === rows && summary.failed === 0
				? []
				: [`the import did not create all rows: ${JSON.stringify(summary).slice(0, 500)}`]),
			...(settled ? [] : ["background work was still in progress after one minute"]),
		],
	};
}

function latencyOf(results: readonly LoadResult[]): Latency {
	const times = results.flatMap(({ requests }) => requests.map(({ start, end }) => end - start));
	const sorted = Float64Array.from(times).sort();
	const errors = results
		.flatMap(({ statuses }) => Object.entries(statuses))
		.reduce((sum, [status, n]) => sum + (status === "200" ? 0 : n), 0);
	return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), errors };
}

/** Signs in as the administrator. @returns an access token, valid for 15 minutes */
async function signIn(url: string): Promise<string> {
	const response = await fetch(`${url}/api/users/login`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify(ADMIN),
	});
	if (!response.ok) throw new Error(`The administrator cannot sign in: ${await response.text()}`);
	return ((await response.json()) as { access_token: string }).access_token;
}

interface Summary {
	readonly done: boolean;
	readonly created: number;
	readonly failed: number;
}
/** Sends a file as fast as the shop reads it. @returns the last line of the response */
async function importRows(url: string, token: string, prefix: string, rows: number) {
	const response = await fetch(`${url}/api/products/import`, {
		method: "POST",
		headers: { authorization: `Bearer ${token}`, "content-type": "text/csv" },
		body: Readable.toWeb(Readable.from(csvOf(prefix, rows))) as ReadableStream<Uint8Array>,
		duplex: "half",
	} as RequestInit);
	const text = await response.text();
	return JSON.parse(text.trimEnd().split("\n").at(-1)!) as Summary;
}

function* csvOf(prefix: string, rows: number): Generator<Buffer> {
	const header =
		"sku,parent_sku,name,description,price,category,stock,options.size,attributes.color\n";
	let text = header;
	for (let i = 0; i * FAMILY_ROWS < rows; i++) {
		const sku = `${prefix}-${i}`;
		const place = `Group ${i % 10}/Sub ${i % 37}`;
		const description = `A long description of product ${i} with words ${(i * 7919) % 99_991}`;
		const color = ["red", "blue", "green"][i % 3];
		text += `${sku},,Product ${i} oak,${description},${(i % 9999) / 100},${place},,,${color}\n`;
		for (const size of "SML") text += `${sku}-${size},${sku},,,,,${i % 50},${size},\n`;
		if (i % CHUNK_FAMILIES > 0) continue;
		yield Buffer.from(text);
		text = "";
	}
	yield Buffer.from(text);
}

/** Formats results, one line per target. */
export function formatImport({
	target,
	rows,
	seconds,
	cpu,
	rss,
	idle,
	during,
}: ImportResult): string {
	const round = (n: number) => n.toFixed(0);
	const groups = Object.keys(cpu);
	const memory = groups.map((name) => {
		const all = rss[name]!;
		return `${name} ${round(all[0]!)} (${round(Math.min(...all))} to ${round(Math.max(...all))})`;
	});
	const times = groups.map((name) => `${name} ${cpu[name]!.toFixed(1)}`);
	return [
		`${target}: ${rows} rows in ${seconds.toFixed(1)} s`,
		`  CPU s: ${times.join(", ")}`,
		`  MB before the import (and during it): ${memory.join(", ")}`,
		`  p99 of product: ${idle.p99.toFixed(1)} ms before, ${during.p99.toFixed(1)} ms beside it; ` +
			`errors ${idle.errors}, ${during.errors}`,
	].join("\n");
}
