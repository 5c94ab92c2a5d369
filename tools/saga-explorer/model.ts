import fc, { type Scheduler } from "fast-check";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Saga, SagaOutcome } from "../../lib/saga/saga.ts";
import { faultKinds } from "./faults.ts";
import {
	DEADLINE,
	type Node,
	type SagaWorld,
	sagaWorld,
	type Wait,
	type WorldOptions,
} from "./world.ts";

/** Actions with their weights among generated actions. */
const actionKinds = {
	place: 2,
	cancel: 2,
	decide: 3,
	dispatch: 1,
	race: 2,
	crash: 1,
	freeze: 1,
	thaw: 1,
	stop: 1,
	join: 1,
	sleep: 1,
} as const;
type Kind = keyof typeof actionKinds;
/** An action on the simulated cluster. `node` and `saga` select among the existing ones. */
interface Action {
	readonly kind: Kind;
	/** Number of scheduled events before the action. */
	readonly after: number;
	readonly node: number;
	readonly saga: number;
}
interface Plan extends WorldOptions {
	readonly nodes: number;
	readonly actions: readonly Action[];
	/** Number of scheduled events after the last action, before faults end. */
	readonly unrest: number;
}

const waitKinds: readonly Wait[] = ["no", "for a decision", "until a deadline"];
const weighted = <K extends string>(
	weights: Readonly<Record<K, number>>,
	kinds = Object.keys(weights) as K[],
) => fc.oneof(...kinds.map((kind) => ({ weight: weights[kind], arbitrary: fc.constant(kind) })));
const many = <T>(of: fc.Arbitrary<T>, maxLength: number) =>
	fc.array(of, { maxLength, size: "max" });
const plansOf = (...kinds: Kind[]): fc.Arbitrary<Plan> =>
	fc.record({
		nodes: fc.integer({ min: 1, max: 3 }),
		actions: many(
			fc.record({
				kind: weighted(actionKinds, kinds),
				after: fc.nat(40),
				node: fc.nat(3),
				saga: fc.nat(7),
			}),
			16,
		),
		faults: many(fc.record({ kind: weighted(faultKinds), pick: fc.nat(7) }), 90),
		unrest: fc.nat(120),
		waits: kinds.includes("decide") ? many(fc.constantFrom(...waitKinds), 4) : fc.constant([]),
	});

/** Scheduled events after which a run that has not settled fails; no run needs nearly as many. */
const MAX_SETTLING_STEPS = 5000;
const FIRST: Action = { kind: "place", after: 0, node: 0, saga: 3 };

/**
 * Runs one plan until all sagas have ended.
 * @returns how often each kind of event occurred
 * @throws Error if an invariant is violated
 */
async function play(scheduler: Scheduler, plan: Plan): Promise<Record<string, number>> {
	const world = sagaWorld(scheduler, plan);
	const nodes: Node[] = [];
	const join = () => {
		const node = world.makeNode(`n${nodes.length + 1}`);
		nodes.push(node);
		node.runner.start().then(
			() => {
				if (node.state === "starting") node.state = "up";
			},
			() => crash(node),
		);
		return node;
	};
	for (let i = 0; i < plan.nodes; i++) join();
	while (nodes.some(({ state }) => state === "starting")) await world.step();
	for (const action of [FIRST, ...plan.actions]) {
		for (let i = 0; i < action.after; i++) await world.step();
		act(world, nodes, join, action);
	}
	for (let i = 0; i < plan.unrest; i++) await world.step();

	world.calmDown();
	for (const node of nodes) thaw(node);
	const operator = join();
	for (let steps = 0; !isSettled(world); steps++) {
		if (steps > MAX_SETTLING_STEPS)
			throw new Error(`Sagas do not end: ${JSON.stringify(openRows(world))}`);
		if (world.isQuiet())
			for (const { id, state, wakeAt } of openRows(world)) {
				if (state === "stuck") retryStuck(world, operator, id, plan.orderly);
				if (state === "waiting" && wakeAt === null) world.decide(id, true);
			}
		await world.step();
	}
	for (const { state, status } of world.table.rows.values()) world.count(state ?? status);
	for (const node of nodes) crash(node);
	return world.counts;
}

/** Sagas that must still end. One that was dispatched before its completion stays stuck. */
const openRows = (world: SagaWorld) =>
	[...world.table.rows.values()].filter(
		({ id, state, status }) =>
			state && !(state === "stuck" && status === "pending" && world.isDispatched(id)),
	);
const isSettled = (world: SagaWorld) => world.isQuiet() && openRows(world).length === 0;

function act(
	world: SagaWorld,
	nodes: Node[],
	join: () => Node,
	{ kind, node: n, saga }: Action,
): void {
	const node = nodes[n % nodes.length]!;
	const { rows } = world.table;
	const id = [...rows.keys()][saga % rows.size];
	if (kind === "sleep") world.sleep(1000 * (saga + 1));
	else if (kind === "join" && nodes.length < 6) join();
	else if (kind === "crash") crash(node);
	else if (kind === "thaw") thaw(node);
	else if (kind === "decide" && id) world.decide(id, saga % 3 > 0);
	else if (kind === "dispatch" && id) world.dispatch(id);
	else if (kind === "race" && id) {
		world.dispatch(id);
		if (node.state === "up") cancel(world, node, id);
	} else if (node.state !== "up") return;
	else if (kind === "freeze") node.state = "paused";
	else if (kind === "stop") node.runner.stop();
	else if (kind === "cancel" && id) cancel(world, node, id);
	else if (kind === "place") for (let i = 0; i <= saga; i++) place(world, node, world.newId());
}
function crash(node: Node): void {
	node.state = "dead";
	node.held.length = 0;
}
function thaw(node: Node): void {
	if (node.state !== "paused") return;
	node.state = "up";
	for (const resume of node.held.splice(0)) resume();
}

/** Places a saga. Every second one starts its first step before it is written. */
const place = (world: SagaWorld, node: Node, id: string) => {
	const deadline = world.now() + DEADLINE;
	const isEarly = Number(id.slice(1)) % 2 === 0;
	if (isEarly) world.count("started early");
	return begin(
		world,
		node,
		`place of ${id}`,
		() => (world.table.rows.has(id) ? undefined : world.table.place(node.name, { id, deadline })),
		isEarly
			? node.runner.startFirstStep({ id, direction: "forward", attempt: 1, deadline })
			: undefined,
	);
};
const cancel = (world: SagaWorld, node: Node, id: string) =>
	begin(world, node, `cancel of ${id}`, () =>
		world.table.beginCancellation(node.name, id, "CANCELLED"),
	);
/** Retries a stuck saga: runs it on this node, or leaves it to the next node that claims it. */
const retryStuck = (world: SagaWorld, node: Node, id: string, orderly = false) =>
	orderly || world.table.rows.get(id)!.attempt % 2
		? cancel(world, node, id)
		: world.table.retry(id);

/** Starts a saga as a service does: runs it only if the write returned. */
async function begin(
	world: SagaWorld,
	node: Node,
	label: string,
	write: () => Saga | undefined,
	first?: Promise<Outcome>,
): Promise<void> {
	const saga = await world
		.send(node, `${label} by ${node.name}`, write, true)
		.catch(() => undefined);
	if (!saga) return;
	const end = await node.runner.run(saga, first);
	world.count(`reported ${end.status}`);
	const past = world.history.get(saga.id) ?? [];
	world.must(
		isReportCorrect(end, saga, past),
		`attempt ${saga.attempt} at ${saga.id} reported ${end.status}, but ${past}`,
	);
}
/** Whether a run reports an end that its own attempt has written, or that it lost the saga. */
const isReportCorrect = ({ status }: SagaOutcome, { attempt }: Saga, past: readonly string[]) =>
	status === "lost" || past.includes(`${status} ${attempt}`);

type Totals = Record<string, number>;
const add = (totals: Totals, counts: Totals) => {
	for (const [what, times] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + times;
};

/**
 * Property: with any faults in any order, every saga reaches exactly one correct final state.
 * Adds the number of occurrences of each kind of event to `totals`.
 */
export const everySagaEnds = (totals: Totals = {}) =>
	fc.asyncProperty(
		fc.scheduler(),
		plansOf(...(Object.keys(actionKinds) as Kind[])),
		async (scheduler, plan) => add(totals, await play(scheduler, plan)),
	);

/** Property: while nodes live and timers fire in order, no saga is claimed by another node. */
export const withoutTakeover = (totals: Totals = {}) =>
	fc.asyncProperty(
		fc.scheduler(),
		plansOf("place", "cancel", "dispatch", "race"),
		async (scheduler, plan) => {
			const counts = await play(scheduler, { ...plan, orderly: true });
			if (counts.claimed) throw new Error(`${counts.claimed} sagas were claimed by another node`);
			add(totals, counts);
		},
	);

/** Property: a saga that makes every step throw does not affect other sagas of its batch. */
export const neighborsAreUnaffected = () =>
	fc.asyncProperty(fc.scheduler(), plansOf("place"), async (scheduler, plan) => {
		const counts = await play(scheduler, { ...plan, faults: [], orderly: true, poison: "s2" });
		if (counts.closed !== 1 || counts.troubled)
			throw new Error(
				`${counts.closed} were closed instead of 1, ${counts.troubled} others failed`,
			);
	});
