import { type Books, judgeAnswers, judgeBooks, type Placed } from "./books.ts";
import type { Reply } from "./client.ts";
import { keepBusy, type LoadResult, load } from "./load.ts";
import { type Postgres, workOf } from "./postgres.ts";
import { type Usage, usage } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import { settle, type Target } from "./target.ts";

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
export interface Wish {
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

/** Measures one target, and keeps in mind what its buyers were told. */
export class Meter {
	readonly target: Target;
	readonly #told = { confirmed: 0, unsure: 0 };
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
		const work = await Promise.all([...this.target.databases].map(([server, databases]) => workOf(server, databases)));
		const generator = process.cpuUsage();
		return {
			groups: usage(this.#groups),
			generator: (generator.user + generator.system) / 1000,
			statements: work.reduce((sum, { statements }) => sum + statements, 0),
			commits: work.reduce((sum, { commits }) => sum + commits, 0),
		};
	}

	/** What its processes use while nobody asks anything: CPU milliseconds per second, by group. */
	async idle(seconds: number): Promise<Record<string, number>> {
		await settle(this.target);
		const [before, from] = [usage(this.#groups), performance.now()];
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
		const [after, elapsed] = [usage(this.#groups), (performance.now() - from) / 1000];
		return mapValues(after, ({ cpuMs }, group) => (cpuMs - before[group]!.cpuMs) / elapsed);
	}

	async measure({ scenario, buyers, seconds, warmup, rate }: Wish): Promise<Measurement> {
		const { target } = this;
		const world = { past: target.past, tokens: await target.tokens() };
		const operation = scenario.operation(world);
		const placed: Placed[] = [];
		const note = (reply: Reply | undefined) => this.#note(reply, placed);
		const run = async (seconds: number) => {
			const result = await load({ url: target.url, operation, buyers, seconds, rate, first: this.#next, note });
			this.#next += result.operations;
			return result;
		};
		const beside = scenario.beside && keepBusy(target.url, scenario.beside.operation(world), scenario.beside.clients);
		let [result, settled]: [LoadResult | undefined, boolean] = [undefined, true];
		try {
			if (warmup > 0) await run(warmup);
			await settle(target);
			// Each measurement writes the whole of a page to the log when it first touches it, and none has a checkpoint in the middle.
			await Promise.all(this.#servers.map((server) => server.query("postgres", "checkpoint")));
			const before = await this.#look();
			result = await run(seconds);
			settled = await settle(target);
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
	#note(reply: Reply | undefined, placed: Placed[]): void {
		if (!reply || reply.status >= 500) this.#told.unsure++;
		if (reply?.status !== 201 && reply?.status !== 202) return;
		const { id, status } = JSON.parse(reply.body.toString()) as Placed;
		placed.push({ id, status });
		if (status === "pending") this.#told.unsure++;
		else this.#told.confirmed++;
	}

	async #checkAnswers(placed: readonly Placed[]): Promise<string[]> {
		if (placed.length === 0) return [];
		const stored = await this.target.find(placed.map(({ id }) => id));
		return judgeAnswers(placed, stored);
	}

	/** What is wrong, after everything, with all that was ever ordered here. */
	async check(): Promise<{ violations: string[]; books: Books }> {
		await settle(this.target);
		const books = await this.target.books();
		return { violations: judgeBooks(this.#told, books), books };
	}

	/** Memory by group. */
	memory = (): Record<string, Usage> => usage(this.#groups);
}

export const mapValues = <V, R>(record: Readonly<Record<string, V>>, make: (value: V, name: string) => R): Record<string, R> =>
	Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value, name)]));
export const sum = (record: Readonly<Record<string, number>>): number => Object.values(record).reduce((total, n) => total + n, 0);
