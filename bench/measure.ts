import { checkResponses, checkShopState, type OrderRecord, type ShopState } from "./books.ts";
import type { HttpResponse } from "./client.ts";
import { generateLoad, type LoadResult, startBackgroundLoad } from "./load.ts";
import { type Postgres, readWork } from "./postgres.ts";
import { type ResourceUsage, readUsage } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import { type Target, waitUntilSettled } from "./target.ts";

/** What one measurement found; the median of several has the same form. */
export interface Figures {
	readonly operations: number;
	/** Operations per second, up to the last answer. */
	readonly rate: number;
	/** Milliseconds. */
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
	readonly max: number;
	/** CPU milliseconds per operation, by group of processes, until everything that the operations have set off was done. */
	readonly cpu: Readonly<Record<string, number>>;
	/** The same of the load generator. */
	readonly generator: number;
	/** SQL statements, and transactions that wrote, per operation. */
	readonly statements: number;
	readonly commits: number;
	/** Memory at the end in MB, by group. */
	readonly rss: Readonly<Record<string, number>>;
}
export interface MeasurementOptions {
	readonly scenario: Scenario;
	readonly buyers: number;
	readonly seconds: number;
	readonly warmup: number;
	readonly rate?: number | undefined;
}
export interface Measurement {
	readonly figures: Figures;
	/** How many operations did not succeed, by status or message. */
	readonly errors: Readonly<Record<string, number>>;
	readonly violations: readonly string[];
}

/** Measures one target, and keeps in mind what its buyers were responses. */
export class Meter {
	readonly target: Target;
	readonly #responses = { confirmed: 0, undetermined: 0 };
	/** The number of the next operation: each is about another product than those before it, for as long as there are any. */
	#next = 0;

	constructor(target: Target) {
		this.target = target;
	}

	get #servers(): Postgres[] {
		return [...this.target.databases.keys()];
	}

	/** Every group by the process that it comes from, Postgres included. */
	get #groups(): Record<string, number> {
		const name = (n: number) => (this.#servers.length === 1 ? "postgres" : `postgres-${n + 1}`);
		return { ...this.target.pids, ...Object.fromEntries(this.#servers.map(({ pid }, n) => [name(n), pid])) };
	}

	async #look() {
		const work = await Promise.all([...this.target.databases].map(([server, databases]) => readWork(server, databases)));
		const generator = process.cpuUsage();
		return {
			groups: readUsage(this.#groups),
			generator: (generator.user + generator.system) / 1000,
			statements: work.reduce((sum, { statements }) => sum + statements, 0),
			commits: work.reduce((sum, { commits }) => sum + commits, 0),
		};
	}

	/** What its processes use while nobody asks anything: CPU milliseconds per second, by group. */
	async idle(seconds: number): Promise<Record<string, number>> {
		await waitUntilSettled(this.target);
		const [before, from] = [readUsage(this.#groups), performance.now()];
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
		const [after, elapsed] = [readUsage(this.#groups), (performance.now() - from) / 1000];
		return mapValues(after, ({ cpuMs }, group) => (cpuMs - before[group]!.cpuMs) / elapsed);
	}

	async measure({ scenario, buyers, seconds, warmup, rate }: MeasurementOptions): Promise<Measurement> {
		const { target } = this;
		const world = { history: target.history, tokens: await target.tokens() };
		const operation = scenario.operation(world);
		const placed: OrderRecord[] = [];
		const onResponse = (response: HttpResponse | undefined) => this.#onResponse(response, placed);
		const run = async (seconds: number) => {
			const result = await generateLoad({ url: target.url, operation, buyers, seconds, rate, firstNumber: this.#next, onResponse });
			this.#next += result.operations;
			return result;
		};
		const beside =
			scenario.background && startBackgroundLoad(target.url, scenario.background.operation(world), scenario.background.clients);
		let [result, settled]: [LoadResult | undefined, boolean] = [undefined, true];
		try {
			if (warmup > 0) await run(warmup);
			await waitUntilSettled(target);
			// Each measurement writes the whole of a page to the log when it first touches it, and none has a checkpoint in the middle.
			await Promise.all(this.#servers.map((server) => server.query("postgres", "checkpoint")));
			const before = await this.#look();
			result = await run(seconds);
			settled = await waitUntilSettled(target);
			const after = await this.#look();
			const violations = [
				...(settled ? [] : ["what the operations have set off was not done within a minute"]),
				...(await this.#checkAnswers(placed)),
			];
			const { operations, statuses } = result;
			const errors = Object.fromEntries(Object.entries(statuses).filter(([status]) => !/^2\d\d$/.test(status)));
			const failed = Object.values(errors).reduce((sum, n) => sum + n, 0);
			if (failed === operations) violations.push(`not one operation succeeded: ${JSON.stringify(errors)}`);
			const each = (pick: (look: typeof before) => number) => (pick(after) - pick(before)) / operations;
			const cpu = mapValues(after.groups, (_, group) => each(({ groups }) => groups[group]!.cpuMs));
			const { p50, p95, p99, max } = result;
			const figures: Figures = {
				...{ operations, rate: operations / result.seconds, p50, p95, p99, max, cpu },
				generator: each(({ generator }) => generator),
				statements: each(({ statements }) => statements),
				commits: each(({ commits }) => commits),
				rss: mapValues(after.groups, ({ rssMb }) => rssMb),
			};
			return { figures, errors, violations };
		} finally {
			await beside?.stop();
		}
	}

	/** Answers to a purchase tell the order's id and status; what else is answered is no order. */
	#onResponse(response: HttpResponse | undefined, placed: OrderRecord[]): void {
		if (!response || response.status >= 500) this.#responses.undetermined++;
		if (response?.status !== 201 && response?.status !== 202) return;
		const { id, status } = JSON.parse(response.body.toString()) as OrderRecord;
		placed.push({ id, status });
		if (status === "pending") this.#responses.undetermined++;
		else this.#responses.confirmed++;
	}

	async #checkAnswers(placed: readonly OrderRecord[]): Promise<string[]> {
		if (placed.length === 0) return [];
		const stored = await this.target.findOrders(placed.map(({ id }) => id));
		return checkResponses(placed, stored);
	}

	/** What is wrong, after everything, with all that was ever ordered here. */
	async check(): Promise<{ violations: string[]; books: ShopState }> {
		await waitUntilSettled(this.target);
		const books = await this.target.readState();
		return { violations: checkShopState(this.#responses, books), books };
	}

	/** Memory by group. */
	memory = (): Record<string, ResourceUsage> => readUsage(this.#groups);
}

export const mapValues = <V, R>(record: Readonly<Record<string, V>>, make: (value: V, name: string) => R): Record<string, R> =>
	Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value, name)]));
export const sum = (record: Readonly<Record<string, number>>): number => Object.values(record).reduce((total, n) => total + n, 0);
