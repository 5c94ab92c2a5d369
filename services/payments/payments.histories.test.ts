import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { newOrder } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { createCharges } from "./payments.charges.ts";
import type { Dependencies } from "./payments.dependencies.ts";
import { balanceOf, keyOf, reportedBy, type Transaction } from "./payments.ledger.rules.ts";
import { createLookups } from "./payments.lookups.ts";
import { createRefunds } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import { createWebhooks } from "./payments.webhooks.ts";
import { createFaultyNode, dependenciesOf, FAULTS, type Fault } from "./test/faulty-node.ts";

/** PAYMENT_HISTORIES=1000 runs the long form, with a random seed that a failure reports. */
const HISTORIES = Number(process.env.PAYMENT_HISTORIES ?? 60);
const IS_LONG = process.env.PAYMENT_HISTORIES !== undefined;

let shop: Shop;
let dependencies: Dependencies;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
	const { provider, ...others } = dependenciesOf(shop);
	dependencies = {
		...others,
		provider: { ...provider, verifyWebhook: (body) => JSON.parse(`${body}`) },
	};
});
afterAll(() => shop?.stop());

type Order = ReturnType<typeof newOrder>;

/** Actions of buyers, banks and the provider's staff. Each causes an event. */
const DECISIONS = ["succeed", "fail", "dispute", "reverse_dispute", "foreign_refund"] as const;
type Decision = (typeof DECISIONS)[number];
const FOREIGN_REFUND = `with refund as (
		insert into ledger_refunds (key, charge_key, amount)
		select 're_' || key, key, 3 from ledger_charges
		where key = $1 and status = 'captured' and refunded + 3 <= amount
		on conflict (key) do nothing returning charge_key)
	update ledger_charges c set refunded = refunded + 3 from refund where c.key = refund.charge_key`;
const decide = (decision: Decision, { order_id }: Order) =>
	decision === "foreign_refund"
		? dependencies.db.query(FOREIGN_REFUND, [order_id])
		: dependencies.provider.simulate!(order_id, decision);

function partsOf(node: Dependencies) {
	const refunds = createRefunds(node);
	const reversals = createReversals(node, refunds);
	const lookups = createLookups(node, refunds, reversals);
	return {
		refunds,
		reversals,
		lookups,
		charges: createCharges(node),
		webhooks: createWebhooks(node, lookups),
	};
}
const paymentOf = async ({ order_id }: Order) => {
	const [row] = await dependencies.db.query<{
		id: string;
		user_id: string | null;
		status: string;
		refunded_amount: number;
		reversal: string | null;
	}>("select id, user_id, status, refunded_amount, reversal from payments where order_id = $1", [
		order_id,
	]);
	return row;
};

/** Commands of a node; `webhook` delivers the n-th event, which may be repeated or never come. */
const commands = {
	charge: (order: Order) => (node: Dependencies) => partsOf(node).charges.charge([order]),
	reverse: (order: Order) => (node: Dependencies) => partsOf(node).reversals.reverse([order]),
	refund: (order: Order) => async (node: Dependencies) => {
		const payment = await paymentOf(order);
		if (!payment) return;
		const { refunds } = partsOf(node);
		const reserved = await node.db
			.transaction((tx) => refunds.reserve(tx, { id: payment.id, amount: 4 }))
			.catch((error: { type?: string }) => {
				if (error.type === "NOT_REFUNDABLE" || error.type === "PAYMENT_NOT_FOUND") return undefined;
				throw error;
			});
		if (reserved) await refunds.settle([reserved.refund]);
	},
	webhook:
		({ order_id: key }: Order, event = 0) =>
		async (node: Dependencies) => {
			const { webhooks } = partsOf(node);
			const body = JSON.stringify({ id: `${key} ${event}`, type: "changed", key });
			await webhooks.receive("simulated", Buffer.from(body), {});
			await webhooks.consume();
		},
	poll: () => async (node: Dependencies) => {
		await partsOf(node).lookups.lookUpDue();
	},
};
type Command = keyof typeof commands;

type Step =
	| { readonly decision: Decision }
	| {
			readonly command: Command;
			readonly event: number;
			readonly crashAfter: number;
			readonly requests: Fault[];
	  };
const step: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 3,
		arbitrary: fc.record({
			command: fc.constantFrom<Command>("charge", "reverse", "refund", "webhook", "poll"),
			event: fc.nat(5),
			crashAfter: fc.option(fc.nat(14), { nil: Number.POSITIVE_INFINITY }),
			requests: fc.array(fc.constantFrom(...FAULTS), { maxLength: 3 }),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ decision: fc.constantFrom(...DECISIONS) }) },
);
const history = fc.record({
	token: fc.constantFrom(
		"tok_3ds",
		"tok_debit",
		"tok_refund_pending",
		"tok_refund_fails",
		"tok_ok",
	),
	steps: fc.array(step, { minLength: 2, maxLength: 9 }),
	/** Order in which the nodes execute their steps. */
	turns: fc.array(fc.nat(8), { maxLength: 50 }),
});

/** Executes a history, in which nodes interleave, crash and lose responses. */
async function execute(
	order: Order,
	{ steps, turns }: { readonly steps: readonly Step[]; readonly turns: readonly number[] },
) {
	const actors = steps.map((one) => {
		if ("decision" in one) return actOnce(() => decide(one.decision, order));
		const { command, event, ...faults } = one;
		return createFaultyNode(dependencies, commands[command](order, event), faults);
	});
	for (const turn of turns) await actors[turn]?.step();
	for (const actor of actors) while (!actor.isFinished()) await actor.step();
}

/** An actor with a single step. */
function actOnce(act: () => Promise<unknown>) {
	let finished = false;
	return {
		async step() {
			if (!finished) await act();
			finished = true;
		},
		isFinished: () => finished,
	};
}

/**
 * Lets the service recover as it does in production: the saga repeats its command, the pollers run,
 * and the provider repeats events for which no poller would look the payment up.
 */
async function recover(order: Order, isReversed: boolean): Promise<void> {
	const { db } = dependencies;
	const { charges, reversals, refunds, lookups, webhooks } = partsOf(dependencies);
	for (let round = 0; round < 3; round++) {
		if (isReversed) await reversals.reverse([order]);
		else await charges.charge([order]);
		const payment = await paymentOf(order);
		await refunds.settleOf([payment!.id]);
		await db.query("update payment_webhook_events set next_at = now() where order_id = $1", [
			order.order_id,
		]);
		await webhooks.consume();
		await db.query(
			`update payments set check_at = now(), updated_at = now() - interval '1 minute'
			where order_id = $1`,
			[order.order_id],
		);
		await lookups.lookUpDue();
	}
	await commands.webhook(order, 99)(dependencies);
	await refunds.settleOf([(await paymentOf(order))!.id]);
}

/** Transactions that moved money or ended the payment, by key, with the amount of moved money. */
const finalOf = (transactions: Iterable<Transaction>) =>
	Object.fromEntries(
		[...transactions]
			.filter(({ state }) => state !== "requested")
			.map((one) => [keyOf(one), hasMoved(one) ? one.amount : 0] as const)
			.sort(([a], [b]) => (a < b ? -1 : 1)),
	);

const hasMoved = ({ type, state }: Transaction) =>
	state === "succeeded" && type !== "authorization" && type !== "void";

async function ledgerOf(id: string): Promise<Transaction[]> {
	return dependencies.db.query<Transaction>(
		`select type, state, reference, amount, reason, at from payment_transactions
		where payment_id = $1`,
		[id],
	);
}

async function eventsOf({ order_id }: Order): Promise<Record<string, number>> {
	const rows = await dependencies.db.query<{ type: string; count: number }>(
		"select type, count(*) as count from outbox where subject = $1 group by type",
		[order_id],
	);
	return Object.fromEntries(rows.map(({ type, count }) => [type, count]));
}

test("the ledger equals the provider's record after any history and crashes", async () => {
	await fc.assert(
		fc.asyncProperty(history, async ({ token, steps, turns }) => {
			const order = newOrder(token, 10);
			await execute(order, { steps, turns });
			const isReversed = steps.some((one) => "command" in one && one.command === "reverse");
			await recover(order, isReversed);

			const payment = (await paymentOf(order))!;
			const record = await dependencies.provider.lookup([order.order_id])[0]!;
			const reported = reportedBy(record!, { ...order }, new Date().toISOString());
			// The first transaction that is added stores those that the row implies.
			const stored = await ledgerOf(payment.id);
			const references = new Set(reported.map(({ reference }) => reference));
			// The provider has no record of a refund that it refused, because its amount was too large.
			const accepted = stored.filter(({ reference }) => references.has(reference));
			for (const { type, state, reference } of stored)
				if (!references.has(reference) && state !== "requested")
					expect([type, reference]).toEqual(["refund_failed", reference]);
			if (stored.length > 0) expect(finalOf(accepted)).toEqual(finalOf(reported));
			const balance = balanceOf(reported);
			const isTombstone = payment.user_id === null;
			const waits = ["requires_action", "processing"].includes(balance.status);
			if (!isTombstone && balance.status !== "none")
				expect(payment).toMatchObject({
					status: balance.status,
					refunded_amount: balance.refunded / 100,
				});
			// Money never stays without an order, unless a bank still decides or has returned a refund.
			const failed = reported.some(({ type }) => type === "refund_failed");
			if (isReversed && !failed) expect(balance.refundable).toBe(0);
			if (isReversed && !waits) expect(payment.reversal).toBe("done");

			const events = await eventsOf(order);
			const keys = Object.keys(finalOf(stored.length > 0 ? stored : reported));
			const count = (key: string) => keys.filter((one) => one.startsWith(key));
			for (const [type, key] of [
				["payment.captured", "capture succeeded"],
				["payment.refunded", "refund succeeded"],
				["payment.refund_failed", "refund_failed succeeded"],
				["payment.disputed", "dispute succeeded"],
				["payment.dispute_reversed", "dispute_reversed succeeded"],
			] as const)
				if (!isTombstone) expect([type, events[type] ?? 0]).toEqual([type, count(key).length]);
		}),
		{ numRuns: HISTORIES, ...(IS_LONG ? {} : { seed: 1 }) },
	);
}, 1_200_000);
