import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import type { Outcome } from "../../lib/contracts/outcome.ts";
import type { Statement } from "../../lib/persistence/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { createCharges } from "./payments.charges.ts";
import { createRefunds, type Dependencies } from "./payments.refunds.ts";
import { createReversals } from "./payments.reversals.ts";
import { simulatedProvider } from "./providers/simulated/provider.ts";

let shop: Shop;
let second: Shop;
let desk: Dependencies;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
	second = await startShop({
		services: ["payments"],
		env: { DATABASE_URL: shop.databases.pattern },
	});
	const { db, eventData, wakeRelay } = shop.broker.getLocalService(
		"payments",
	) as unknown as Dependencies;
	// Nothing here is slow but the steps that a test holds back, and those are waited for.
	const patience = { totalMs: 600_000, idleMs: 600_000 };
	desk = {
		db,
		eventData,
		wakeRelay,
		logger: { warn: () => undefined },
		provider: simulatedProvider(db),
		patience,
	};
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});

/**
 * What becomes of a request to the provider. `lost`: it is done, but not answered. `away`: neither. `halts`: what asks for a capture, too,
 * is only authorised. `breaks off`: and the answer is lost.
 */
const FATES = ["comes", "lost", "away", "halts", "breaks off"] as const;
type Fate = (typeof FATES)[number];

/**
 * A node that does one thing for one order. Each of its steps (a statement, a request to the provider) waits until it is let through.
 * @param fates of its requests to the provider, one after the other
 */
function node(act: (desk: Dependencies) => Promise<unknown>, fates: readonly Fate[]) {
	let go: () => void = () => undefined;
	let arrive: () => void = () => undefined;
	let die: (reason: Error) => void = () => undefined;
	let over = false;
	let dead = false;
	const gate = () =>
		new Promise<void>((resolve, reject) => {
			if (dead) return reject(new Error("dead"));
			[go, die] = [resolve, reject];
			arrive();
		});
	let requests = 0;
	const gated = <A extends object, R>(step: (of: readonly A[]) => Promise<R>[]) => {
		return (all: readonly A[]): Promise<R>[] => {
			if (all.length === 0) return [];
			const fate = fates[requests++] ?? "comes";
			const begun = gate().then(async () => {
				if (fate === "away") throw new Error("The provider is not there");
				const half = fate === "halts" || fate === "breaks off";
				const answers = step(
					half ? all.map((one) => ("capture" in one ? { ...one, capture: false } : one)) : all,
				);
				if (fate === "comes" || fate === "halts") return answers;
				await Promise.allSettled(answers);
				throw new Error("The answer was lost");
			});
			return all.map((_, i) => begun.then((answers) => answers[i]!));
		};
	};
	const { db, provider } = desk;
	const slowly = {
		...desk,
		db: {
			query: (...args: Parameters<typeof db.query>) => gate().then(() => db.query(...args)),
			transaction: (work: never) => gate().then(() => db.transaction(work)),
		},
		provider: {
			authorize: gated(provider.authorize),
			capture: gated(provider.capture),
			void: gated(provider.void),
			refund: gated(provider.refund),
			lookup: provider.lookup,
			findRefunds: provider.findRefunds,
		},
	} as unknown as Dependencies;
	let running: Promise<unknown> | undefined;
	return {
		/** Lets it do its next step and waits until it stands before the one after that. */
		async step(): Promise<void> {
			if (over) return;
			const arrived = new Promise<void>((resolve) => {
				arrive = resolve;
			});
			if (running) go();
			else
				running = act(slowly).finally(() => {
					over = true;
					arrive();
				});
			await Promise.race([arrived, running]);
		},
		isOver: () => over,
		/** Nothing of it moves any more. */
		async kill(): Promise<void> {
			dead = true;
			die(new Error("dead"));
			await running?.catch(() => undefined);
		},
	};
}

const acts = {
	charge: (order: Order) => (at: Dependencies) => createCharges(at).charge([order]),
	reverse: (order: Order) => (at: Dependencies) =>
		createReversals(at, createRefunds(at), createCharges(at)).reverse([order.order_id]),
	/** As the action does it: written down in one transaction, then settled. */
	refund: (order: Order) => async (at: Dependencies) => {
		const [payment] = await desk.db.query<{ id: string }>(
			"select id from payments where order_id = $1",
			[order.order_id],
		);
		const refunds = createRefunds(at);
		const made =
			payment &&
			(await at.db
				.transaction((tx) => refunds.reserve(tx, { id: payment.id, amount: 4 }))
				.catch(() => undefined));
		if (made) await refunds.settle([made.refund]);
	},
};
type Act = keyof typeof acts;
const order = (payment_token: string) => ({
	order_id: uuid(),
	user_id: uuid(),
	amount: 10,
	currency: "EUR",
	payment_token,
});
type Order = ReturnType<typeof order>;

type Sum =
	| "open"
	| "captures"
	| "charged"
	| "paid_back"
	| "captured"
	| "refunded"
	| "told_captured"
	| "told_refunded";
/** What the provider's books, our books and our events say at the end. */
async function books({ order_id }: Order) {
	const [row] = await desk.db.query<Record<Sum, number>>(
		`select
			(select count(*) from ledger_authorizations where key = $1::text and not exists (select from ledger_charges where key = $1::text)) as open,
			(select count(*) from ledger_charges where status = 'captured' and (key = $1::text or capture_key = $1::text)) as captures,
			(select coalesce(sum(amount), 0) from ledger_charges where key = $1::text) as charged,
			(select coalesce(sum(amount), 0) from ledger_refunds where charge_key = $1::text) as paid_back,
			(select coalesce(sum(amount), 0) from payments where order_id = $1::uuid and captured_at is not null) as captured,
			(select coalesce(sum(refunded_amount), 0) from payments where order_id = $1::uuid) as refunded,
			(select coalesce(sum((data->>'amount')::numeric), 0) from outbox where subject = $1::text and type = 'payment.captured') as told_captured,
			(select coalesce(sum((data->>'amount')::numeric), 0) from outbox where subject = $1::text and type = 'payment.refunded') as told_refunded`,
		[order_id],
	);
	return row!;
}

/** What a saga does in the end: asks until it is told. */
async function insist(act: Act, mine: Order): Promise<Outcome> {
	for (let tries = 0; tries < 5; tries++) {
		const [outcome] = (await acts[act](mine)(desk)) as Outcome[];
		if (outcome?.status !== "pending") return outcome!;
	}
	throw new Error(`${act} stays pending`);
}

const act = fc.constantFrom<Act>("charge", "reverse", "refund");
/** Which nodes there are, after how many steps each one dies, and which answers it does not get. */
const nodes = fc.array(
	fc.record({
		does: act,
		dies: fc.option(fc.nat(8), { nil: Number.POSITIVE_INFINITY }),
		fates: fc.array(fc.constantFrom(...FATES), { maxLength: 3 }),
	}),
	{ minLength: 2, maxLength: 4 },
);
const token = fc.constantFrom("tok_ok", "tok_ok", "tok_flaky", "tok_declined");
const turns = fc.array(fc.nat(3), { maxLength: 30 });

test("whatever charges, refunds and reversals do between each other's steps, wherever they die and whatever answers are lost, the money is captured once or all back", async () => {
	const world = fc.record({ token, nodes, turns, early: fc.boolean(), endsReversed: fc.boolean() });
	await fc.assert(
		fc.asyncProperty(world, async ({ token, nodes, turns, early, endsReversed }) => {
			const mine = order(token);
			if (early) await insist("charge", mine);
			const running = nodes.map(({ does, dies, fates }) => ({
				does,
				dies,
				steps: 0,
				node: node(acts[does](mine), fates),
			}));
			const turn = async (one: (typeof running)[number] | undefined) => {
				if (one && one.steps++ < one.dies) await one.node.step();
			};
			for (const n of turns) await turn(running[n]);
			for (const one of running) while (!one.node.isOver() && one.steps < one.dies) await turn(one);
			for (const one of running) await one.node.kill();

			const reversed =
				endsReversed || running.some(({ does, steps }) => does === "reverse" && steps > 1);
			if (reversed) expect(await insist("reverse", mine)).toEqual({ status: "done" });
			const outcome = await insist("charge", mine);
			const [payment] = await desk.db.query<{ id: string }>(
				"select id from payments where order_id = $1",
				[mine.order_id],
			);
			await createRefunds(desk).settleOf([payment!.id]);

			const {
				open,
				captures,
				charged,
				paid_back,
				captured,
				refunded,
				told_captured,
				told_refunded,
			} = await books(mine);
			expect(open).toBe(0);
			expect(captures).toBeLessThanOrEqual(1);
			if (reversed) expect(outcome).toEqual({ status: "refused", code: "REVERSED" });
			else
				expect(outcome).toMatchObject(
					token === "tok_declined" ? { code: "PAYMENT_DECLINED" } : { status: "done" },
				);
			expect(charged).toBe(reversed ? paid_back : token === "tok_declined" ? 0 : 10);
			expect([0, 10]).toContain(charged);
			// Where a reversal overtook the record of a charge, nobody was told of either.
			expect({ told_captured, told_refunded }).toEqual({
				told_captured: captured,
				told_refunded: refunded,
			});
			expect(captured - refunded).toBe(charged - paid_back);
		}),
		{ numRuns: 600 },
	);
}, 120_000);

test("a batch that goes well costs the provider one statement and us one, whatever its size", async () => {
	const statements: unknown[] = [];
	const { db: real } = desk;
	const counting = (name: "query" | "insertNew") => (statement: Statement, values: unknown[]) => {
		statements.push(statement);
		return real[name](statement, values);
	};
	const db = {
		query: counting("query"),
		insertNew: counting("insertNew"),
	} as unknown as typeof real;
	const counted = createCharges({ ...desk, db, provider: simulatedProvider(db) });
	const orders = Array.from({ length: 50 }, (_, n) => order(n % 5 ? "tok_ok" : "tok_declined"));
	await counted.charge(orders);
	expect(statements).toHaveLength(2);
});

test("two nodes that charge and reverse the same batches at the same time end with all money back", async () => {
	const tokens = ["tok_ok", "tok_ok", "tok_flaky", "tok_timeout", "tok_declined"];
	const only = (orders: Order[]) => ({ orders: orders.map(({ order_id }) => ({ order_id })) });
	const shuffled = (orders: Order[]) =>
		orders.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at);
	for (let round = 0; round < 15; round++) {
		const orders = Array.from({ length: 20 }, (_, n) => order(tokens[n % tokens.length]!));
		const calls = [shop, second, shop, second].flatMap((node) => {
			const some = shuffled(orders).map(({ one }) => one);
			const charge = () => node.call("payments.charge", { orders: some });
			const reverse = () => node.call("payments.reverse", only(some.slice(round)));
			return Math.random() < 0.5 ? [charge, reverse] : [reverse, charge];
		});
		await Promise.all(calls.map((call) => call()));
		const reversed = orders.map(() => ({ status: "done" }));
		await eventually(async () =>
			expect(await second.call("payments.reverse", only(orders))).toEqual(reversed),
		);
		for (const outcome of await shop.call("payments.charge", { orders }))
			expect(outcome).not.toEqual({ status: "done" });
		for (const mine of orders) {
			const { open, charged, paid_back, captured, refunded, told_captured, told_refunded } =
				await books(mine);
			expect(open).toBe(0);
			expect([0, 10]).toContain(charged);
			expect({ paid_back, told_captured, told_refunded }).toEqual({
				paid_back: charged,
				told_captured: captured,
				told_refunded: refunded,
			});
			expect(captured).toBe(refunded);
		}
	}
}, 120_000);
