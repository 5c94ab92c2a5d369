import type { Statement, Tx } from "../../../lib/persistence/database.ts";
import type { Shop } from "../../../test/support/shop.ts";
import type { Dependencies } from "../payments.dependencies.ts";
import { createSimulated } from "../providers/simulated/provider.ts";

/**
 * Dependencies of a node of a shop with the simulated provider. Their time limits are long, because
 * steps that a test holds back would exceed others.
 */
export function dependenciesOf(shop: Shop): Dependencies {
	const { db, eventData, wakeRelay } = shop.broker.getLocalService(
		"payments",
	) as unknown as Dependencies;
	const limits = { totalMs: 600_000, idleMs: 600_000 };
	return {
		db,
		eventData,
		wakeRelay,
		logger: { warn: () => undefined },
		provider: createSimulated({ db }),
		limits,
		longLimits: limits,
		windowSeconds: 1800,
	};
}

/**
 * Effect of a request to the provider.
 * - `responds`: the request is executed.
 * - `lost`: executed, but the response is lost.
 * - `unavailable`: not executed.
 * - `interrupted`: a request for a capture is only authorized.
 * - `interrupted and lost`: only authorized, and the response is lost.
 */
export const FAULTS = [
	"responds",
	"lost",
	"unavailable",
	"interrupted",
	"interrupted and lost",
] as const;
export type Fault = (typeof FAULTS)[number];

interface Faults {
	/** Faults of consecutive requests to the provider; further ones respond. */
	readonly requests: readonly Fault[];
	/** Number of statements and requests after which the node dies, also inside a transaction. */
	readonly crashAfter?: number;
}

/**
 * Creates a node that executes one command. Each of its steps (a statement, a transaction or a
 * request to the provider) waits at a gate until `step` opens it, so that steps of several nodes
 * can be interleaved.
 */
export function createFaultyNode(
	dependencies: Dependencies,
	execute: (dependencies: Dependencies) => Promise<unknown>,
	{ requests: faults, crashAfter = Number.POSITIVE_INFINITY }: Faults,
) {
	let open: () => void = () => undefined;
	let arrive: () => void = () => undefined;
	let abort: (reason: Error) => void = () => undefined;
	let finished = false;
	let killed = false;
	let operations = 0;
	const gate = () =>
		new Promise<void>((resolve, reject) => {
			if (killed) return reject(new Error("Killed"));
			[open, abort] = [resolve, reject];
			arrive();
		});
	const countOperation = () => {
		killed ||= ++operations > crashAfter;
		if (killed) throw new Error("Killed");
	};
	let requests = 0;
	const gated = <A extends object | string, R>(method: (batch: readonly A[]) => Promise<R>[]) => {
		return (batch: readonly A[]): Promise<R>[] => {
			if (batch.length === 0) return [];
			const fault = faults[requests++] ?? "responds";
			const sent = gate().then(async () => {
				countOperation();
				if (fault === "unavailable") throw new Error("The provider is unavailable");
				const isInterrupted = fault === "interrupted" || fault === "interrupted and lost";
				const responses = method(isInterrupted ? batch.map(withoutCapture) : batch);
				if (fault === "responds" || fault === "interrupted") return responses;
				await Promise.allSettled(responses);
				throw new Error("The response was lost");
			});
			return batch.map((_, i) => sent.then((responses) => responses[i]!));
		};
	};
	const { db, provider } = dependencies;
	const run = async <R>(operation: () => Promise<R>): Promise<R> => {
		countOperation();
		return operation();
	};
	const gatedDependencies = {
		...dependencies,
		db: {
			query: (...args: Parameters<typeof db.query>) =>
				gate().then(() => run(() => db.query(...args))),
			insertNew: (statement: Statement, values: readonly unknown[]) =>
				gate().then(() => run(() => db.insertNew(statement, values))),
			transaction: (work: (tx: Tx) => Promise<unknown>) =>
				gate().then(() =>
					db.transaction((tx) => work({ ...tx, query: (...args) => run(() => tx.query(...args)) })),
				),
		},
		provider: {
			...provider,
			authorize: gated(provider.authorize),
			capture: gated(provider.capture),
			void: gated(provider.void),
			refund: gated(provider.refund),
			lookup: gated(provider.lookup),
			findRefunds: gated(provider.findRefunds),
		},
	} as unknown as Dependencies;
	let running: Promise<unknown> | undefined;
	return {
		/** Executes the next step and waits until the node reaches the gate of the following one. */
		async step(): Promise<void> {
			if (finished) return;
			const arrived = new Promise<void>((resolve) => {
				arrive = resolve;
			});
			if (running) open();
			else
				running = execute(gatedDependencies)
					.catch((error: unknown) => {
						if (!killed) throw error;
					})
					.finally(() => {
						finished = true;
					});
			await Promise.race([arrived, running]);
		},
		isFinished: () => finished || killed,
		/** Stops the node before its next step. */
		async kill(): Promise<void> {
			killed = true;
			abort(new Error("Killed"));
			await running?.catch(() => undefined);
		},
	};
}

const withoutCapture = <A extends object | string>(request: A): A =>
	typeof request === "object" && "capture" in request ? { ...request, capture: false } : request;
