import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { runInCall, timeLeft } from "../../lib/context/call-context.ts";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Statement } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { newOrder, startPaymentNodes } from "../../test/support/payments.ts";
import type { Shop } from "../../test/support/shop.ts";
import { createCharges } from "./payments.charges.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { createRefunds } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import { createSimulated } from "./providers/simulated/provider.ts";
import { createFaultyNode, dependenciesOf, FAULTS } from "./test/faulty-node.ts";

let shop: Shop;
let second: Shop;
let dependencies: Dependencies;
beforeAll(async () => {
	[shop, second] = await startPaymentNodes();
	dependencies = dependenciesOf(shop);
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});

const commands = {
	charge: (order: Order) => (node: Dependencies) => createCharges(node).charge([order]),
	reverse: (order: Order) => (node: Dependencies) =>
		createReversals(node, createRefunds(node)).reverse([{ order_id: order.order_id }]),
	/** Like the action: reserves the refund in a transaction, then settles it. */
	refund: (order: Order) => async (node: Dependencies) => {
		const [payment] = await dependencies.db.query<{ id: string }>(
			"select id from payments where order_id = $1",
			[order.order_id],
		);
		const refunds = createRefunds(node);
		const reserved =
			payment &&
			(await node.db
				.transaction((tx) => refunds.reserve(tx, { id: payment.id, amount: 4 }))
				.catch(() => undefined));
		if (reserved) await refunds.settle([reserved.refund]);
	},
};
type Command = keyof typeof commands;
type Order = ReturnType<typeof newOrder>;

type Total =
	| "open"
	| "captures"
	| "charged"
	| "refunded_by_provider"
	| "captured"
	| "refunded"
	| "published_captured"
	| "published_refunded";
/** Totals of an order in the provider's ledger, in the payments tables and in events. */
async function totalsOf({ order_id }: Order) {
	const [row] = await dependencies.db.query<Record<Total, number>>(
		`select
			(select count(*) from ledger_authorizations where key = $1::text
				and not exists (select from ledger_charges where key = $1::text)) as open,
			(select count(*) from ledger_charges where status = 'captured'
				and (key = $1::text or capture_key = $1::text)) as captures,
			(select coalesce(sum(amount), 0) from ledger_charges where key = $1::text) as charged,
			(select coalesce(sum(amount), 0) from ledger_refunds
				where charge_key = $1::text) as refunded_by_provider,
			(select coalesce(sum(amount), 0) from payments
				where order_id = $1::uuid and captured_at is not null) as captured,
			(select coalesce(sum(refunded_amount), 0) from payments
				where order_id = $1::uuid) as refunded,
			(select coalesce(sum((data->>'amount')::numeric), 0) from outbox
				where subject = $1::text and type = 'payment.captured') as published_captured,
			(select coalesce(sum((data->>'amount')::numeric), 0) from outbox
				where subject = $1::text and type = 'payment.refunded') as published_refunded`,
		[order_id],
	);
	return row!;
}

/** Repeats a command, as the saga does, until its outcome is not pending. */
async function complete(command: Command, order: Order): Promise<Outcome> {
	for (let attempt = 0; attempt < 5; attempt++) {
		const [outcome] = (await commands[command](order)(dependencies)) as Outcome[];
		if (outcome?.status !== "pending") return outcome!;
	}
	throw new Error(`${command} stays pending`);
}

const command = fc.constantFrom<Command>("charge", "reverse", "refund");
/** The command of each node, the number of steps until it dies, and the faults of its requests. */
const nodes = fc.array(
	fc.record({
		command,
		maxSteps: fc.option(fc.nat(8), { nil: Number.POSITIVE_INFINITY }),
		faults: fc.array(fc.constantFrom(...FAULTS), { maxLength: 3 }),
	}),
	{ minLength: 2, maxLength: 4 },
);
const token = fc.constantFrom("tok_ok", "tok_ok", "tok_flaky", "tok_declined");
const turns = fc.array(fc.nat(3), { maxLength: 30 });

test("any interleaving of commands and faults captures once or refunds everything", async () => {
	const scenario = fc.record({
		token,
		nodes,
		turns,
		early: fc.boolean(),
		endsReversed: fc.boolean(),
	});
	await fc.assert(
		fc.asyncProperty(scenario, async ({ token, nodes, turns, early, endsReversed }) => {
			const order = newOrder(token, 10);
			if (early) await complete("charge", order);
			const running = nodes.map(({ command, maxSteps, faults }) => ({
				command,
				maxSteps,
				steps: 0,
				node: createFaultyNode(dependencies, commands[command](order), { requests: faults }),
			}));
			const step = async (run: (typeof running)[number] | undefined) => {
				if (run && run.steps++ < run.maxSteps) await run.node.step();
			};
			for (const n of turns) await step(running[n]);
			for (const run of running)
				while (!run.node.isFinished() && run.steps < run.maxSteps) await step(run);
			for (const run of running) await run.node.kill();

			const reversed =
				endsReversed || running.some(({ command, steps }) => command === "reverse" && steps > 1);
			if (reversed) expect(await complete("reverse", order)).toEqual({ status: "done" });
			const outcome = await complete("charge", order);
			const [payment] = await dependencies.db.query<{ id: string }>(
				"select id from payments where order_id = $1",
				[order.order_id],
			);
			await createRefunds(dependencies).settleOf([payment!.id]);

			const {
				open,
				captures,
				charged,
				refunded_by_provider,
				captured,
				refunded,
				published_captured,
				published_refunded,
			} = await totalsOf(order);
			expect(open).toBe(0);
			expect(captures).toBeLessThanOrEqual(1);
			if (reversed) expect(outcome).toEqual({ status: "refused", code: "REVERSED" });
			else
				expect(outcome).toMatchObject(
					token === "tok_declined" ? { code: "PAYMENT_DECLINED" } : { status: "done" },
				);
			expect(charged).toBe(reversed ? refunded_by_provider : token === "tok_declined" ? 0 : 10);
			expect([0, 10]).toContain(charged);
			// A reversal that overtook the record of a charge publishes no event for either.
			expect({ published_captured, published_refunded }).toEqual({
				published_captured: captured,
				published_refunded: refunded,
			});
			expect(captured - refunded).toBe(charged - refunded_by_provider);
		}),
		{ seed: 20_260_101, numRuns: 600 },
	);
});

test("a batch of any size takes one statement at the provider and one in payments", async () => {
	const statements: unknown[] = [];
	const { db: real } = dependencies;
	const counted = (name: "query" | "insertNew") => (statement: Statement, values: unknown[]) => {
		statements.push(statement);
		return real[name](statement, values);
	};
	const db = {
		query: counted("query"),
		insertNew: counted("insertNew"),
	} as unknown as typeof real;
	const charges = createCharges({ ...dependencies, db, provider: createSimulated({ db }) });
	const orders = Array.from({ length: 50 }, (_, n) =>
		newOrder(n % 5 ? "tok_ok" : "tok_declined", 10),
	);
	await charges.charge(orders);
	expect(statements).toHaveLength(2);
});

test("a late response is recorded without the time limit of its call", async () => {
	const { db: real, provider: simulated } = dependencies;
	const { promise: released, resolve: release } = Promise.withResolvers<void>();
	const provider: typeof simulated = {
		...simulated,
		authorize: (requests) =>
			simulated.authorize(requests).map(async (response) => {
				await released;
				return response;
			}),
	};
	const limits: number[] = [];
	const db = {
		insertNew(statement: Statement, values: unknown[]) {
			limits.push(timeLeft());
			return real.insertNew(statement, values);
		},
	} as unknown as typeof real;
	const charges = createCharges({
		...dependencies,
		db,
		provider,
		limits: { totalMs: 10, idleMs: 10 },
	});
	const order = newOrder("tok_ok", 10);
	const call = { requestID: null, meta: {}, deadline: performance.now() + 60_000 };
	const outcomes = await runInCall(call, () => charges.charge([order]));
	expect(outcomes).toEqual([{ status: "pending" }]);
	release();
	await eventually(async () => expect((await totalsOf(order)).captured).toBe(10));
	expect(limits).toEqual([Number.POSITIVE_INFINITY]);
});

test("two nodes that charge and reverse the same batches refund everything", async () => {
	const tokens = ["tok_ok", "tok_ok", "tok_flaky", "tok_timeout", "tok_declined"];
	const reversal = (orders: Order[]) => ({ orders: orders.map(({ order_id }) => ({ order_id })) });
	const shuffled = (orders: Order[]) =>
		orders
			.map((order) => ({ order, position: Math.random() }))
			.sort((a, b) => a.position - b.position)
			.map(({ order }) => order);
	for (let round = 0; round < 15; round++) {
		const orders = Array.from({ length: 20 }, (_, n) => newOrder(tokens[n % tokens.length]!, 10));
		const calls = [shop, second, shop, second].flatMap((node) => {
			const batch = shuffled(orders);
			const charge = () => node.call("payments.charge", { orders: batch });
			const reverse = () => node.call("payments.reverse", reversal(batch.slice(round)));
			return Math.random() < 0.5 ? [charge, reverse] : [reverse, charge];
		});
		await Promise.all(calls.map((call) => call()));
		const reversed = orders.map(() => ({ status: "done" }));
		await eventually(async () =>
			expect(await second.call("payments.reverse", reversal(orders))).toEqual(reversed),
		);
		for (const outcome of await shop.call("payments.charge", { orders }))
			expect(outcome).not.toEqual({ status: "done" });
		for (const order of orders) {
			const {
				open,
				charged,
				refunded_by_provider,
				captured,
				refunded,
				published_captured,
				published_refunded,
			} = await totalsOf(order);
			expect(open).toBe(0);
			expect([0, 10]).toContain(charged);
			expect({ refunded_by_provider, published_captured, published_refunded }).toEqual({
				refunded_by_provider: charged,
				published_captured: captured,
				published_refunded: refunded,
			});
			expect(captured).toBe(refunded);
		}
	}
});
