import type { HttpResponse } from "./client.ts";
import { checkResponses, checkShopState, type OrderRecord, type ShopState } from "./invariants.ts";
import { generateLoad, type LoadResult, startBackgroundLoad } from "./load.ts";
import { type Postgres, readWork } from "./postgres.ts";
import { readUsage } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import type { Timed } from "./stalls.ts";
import { type Target, waitUntilSettled } from "./target.ts";

/** Figures of one measurement, or the medians of several. */
export interface Figures {
	readonly operations: number;
	/** Operations per second, from the first request to the last response. */
	readonly rate: number;
	/** Latency in milliseconds. */
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
	/** CPU milliseconds per operation by process group, including background work afterwards. */
	readonly cpu: Readonly<Record<string, number>>;
	/** CPU milliseconds per operation of the load generator. */
	readonly generator: number;
	/** SQL statements per operation. */
	readonly statements: number;
	/** Writing transactions per operation. */
	readonly commits: number;
	/** Resident memory in MB at the end, by process group. */
	readonly rss: Readonly<Record<string, number>>;
}
/** Load of one measurement. */
interface MeasurementOptions {
	readonly scenario: Scenario;
	readonly buyers: number;
	readonly seconds: number;
	readonly warmup: number;
	readonly rate?: number | undefined;
}
interface Measurement {
	readonly figures: Figures;
	/** Number of failed operations by status or error message. */
	readonly errors: Readonly<Record<string, number>>;
	readonly violations: readonly string[];
	readonly requests: readonly Timed[];
}

/**
 * Reads the usage of a target by process group, including Postgres without the sessions of the
 * benchmark: these count all orders and messages again and again, to find the end of the work.
 */
export async function readTargetUsage({ pids, databases }: Pick<Target, "pids" | "databases">) {
	const servers = [...databases.keys()];
	const own = await Promise.all(servers.map((server) => server.ownSessions()));
	const name = (n: number) => (servers.length === 1 ? "postgres" : `postgres-${n + 1}`);
	const groups: Record<string, number> = { ...pids };
	for (const [n, { pid }] of servers.entries()) groups[name(n)] = pid;
	return readUsage(groups, new Set(own.flat()));
}

/** Measures one target and counts its responses for the final check. */
export class Meter {
	readonly target: Target;
	readonly #responses = { confirmed: 0, undetermined: 0 };
	/**
	 * Numbers of the next operations, which vary the products. Ordered carts are counted separately
	 * because each of them is ordered once.
	 */
	readonly #next = { carts: 0, others: 0 };

	constructor(target: Target) {
		this.target = target;
	}

	get #servers(): Postgres[] {
		return [...this.target.databases.keys()];
	}

	async #snapshot() {
		const work = await Promise.all(
			[...this.target.databases].map(([server, databases]) => readWork(server, databases)),
		);
		const generator = process.cpuUsage();
		return {
			groups: await readTargetUsage(this.target),
			generator: (generator.user + generator.system) / 1000,
			statements: work.reduce((sum, { statements }) => sum + statements, 0),
			commits: work.reduce((sum, { commits }) => sum + commits, 0),
		};
	}

	/** Measures the CPU usage without load, in milliseconds per second by process group. */
	async idle(seconds: number): Promise<Record<string, number>> {
		await waitUntilSettled(this.target);
		const [before, from] = [await readTargetUsage(this.target), performance.now()];
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
		const [after, elapsed] = [
			await readTargetUsage(this.target),
			(performance.now() - from) / 1000,
		];
		return mapValues(after, ({ cpuMs }, group) => (cpuMs - before[group]!.cpuMs) / elapsed);
	}

	/** Runs the load of one measurement and computes its figures. */
	async measure({
		scenario,
		buyers,
		seconds,
		warmup,
		rate,
	}: MeasurementOptions): Promise<Measurement> {
		const { target } = this;
		const data = { history: target.history, tokens: await target.tokens() };
		const operation = scenario.operation(data);
		const sequence = scenario.ordersCarts ? "carts" : "others";
		const returned: OrderRecord[] = [];
		const onResponse = (response: HttpResponse | undefined) => this.#onResponse(response, returned);
		const run = async (seconds: number) => {
			const result = await generateLoad({
				url: target.url,
				operation,
				buyers,
				seconds,
				rate,
				firstNumber: this.#next[sequence],
				onResponse,
			});
			this.#next[sequence] += result.operations;
			return result;
		};
		const background =
			scenario.background &&
			startBackgroundLoad(
				target.url,
				scenario.background.operation(data),
				scenario.background.clients,
			);
		let [result, settled]: [LoadResult | undefined, boolean] = [undefined, true];
		try {
			if (warmup > 0) await run(warmup);
			await waitUntilSettled(target);
			// After a checkpoint, the first write to a page logs the full page. With a checkpoint here,
			// each measurement pays for that alike, and none contains a checkpoint.
			await Promise.all(this.#servers.map((server) => server.query("postgres", "checkpoint")));
			const before = await this.#snapshot();
			result = await run(seconds);
			settled = await waitUntilSettled(target);
			const after = await this.#snapshot();
			const violations = [
				...(settled ? [] : ["background work was still in progress after one minute"]),
				...(await this.#checkReturnedOrders(returned)),
			];
			const { operations, statuses } = result;
			const errors = Object.fromEntries(
				Object.entries(statuses).filter(([status]) => !/^2\d\d$/.test(status)),
			);
			const failed = Object.values(errors).reduce((sum, n) => sum + n, 0);
			if (failed === operations)
				violations.push(`no operation succeeded: ${JSON.stringify(errors)}`);
			const perOperation = (pick: (snapshot: typeof before) => number) =>
				(pick(after) - pick(before)) / operations;
			const cpu = mapValues(after.groups, (_, group) =>
				perOperation(({ groups }) => groups[group]!.cpuMs),
			);
			const { p50, p95, p99, max } = result;
			const figures: Figures = {
				...{ operations, rate: operations / result.seconds, p50, p95, p99, max, cpu },
				generator: perOperation(({ generator }) => generator),
				statements: perOperation(({ statements }) => statements),
				commits: perOperation(({ commits }) => commits),
				rss: mapValues(after.groups, ({ rssMb }) => rssMb),
			};
			return { figures, errors, violations, requests: result.requests };
		} finally {
			await background?.stop();
		}
	}

	/** Counts a response. Only responses with status 201 or 202 contain an order. */
	#onResponse(response: HttpResponse | undefined, returned: OrderRecord[]): void {
		if (!response || response.status >= 500) this.#responses.undetermined++;
		if (response?.status !== 201 && response?.status !== 202) return;
		const { id, status } = JSON.parse(response.body.toString()) as OrderRecord;
		returned.push({ id, status });
		if (status === "pending") this.#responses.undetermined++;
		else this.#responses.confirmed++;
	}

	async #checkReturnedOrders(returned: readonly OrderRecord[]): Promise<string[]> {
		if (returned.length === 0) return [];
		const stored = await this.target.findOrders(returned.map(({ id }) => id));
		return checkResponses(returned, stored);
	}

	/** Checks the invariants over all orders of this meter's target, after the last measurement. */
	async check(): Promise<{ violations: string[]; state: ShopState }> {
		await waitUntilSettled(this.target);
		const state = await this.target.readState();
		return { violations: checkShopState(this.#responses, state), state };
	}
}

export const mapValues = <V, R>(
	record: Readonly<Record<string, V>>,
	map: (value: V, name: string) => R,
): Record<string, R> =>
	Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));
export const sum = (record: Readonly<Record<string, number>>): number =>
	Object.values(record).reduce((total, n) => total + n, 0);
