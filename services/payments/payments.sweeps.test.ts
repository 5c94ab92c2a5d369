import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../../test/support/eventually.ts";
import { type Order, order, startPayments } from "../../test/support/payments.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import { createCharges } from "./payments.charges.ts";
import { createRefunds, type Dependencies } from "./payments.refunds.ts";
import type { PaymentProvider } from "./providers/provider.ts";

let shop: Shop;
/** Another node on the same database. */
let second: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["payments"] });
	second = await startShop({
		services: ["payments"],
		env: { DATABASE_URL: shop.databases.pattern },
	});
});
afterAll(async () => {
	await second?.stop();
	await shop?.stop();
});
const { captured, ledger, list, reverse, told } = startPayments(() => shop);
const query = (text: string, values?: unknown[]) => shop.databases.query("payments", text, values);

/** Payments of which the provider has no record, so that their refunds are rejected each time; all are older than anything else. */
const FAILING_REFUNDS = `with made as (insert into payments (id, order_id, user_id, amount, currency, status, refunded_amount)
		select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'refunded', 5 from generate_series(1, $1) returning id)
	insert into refunds (id, payment_id, amount, at) select gen_random_uuid(), id, 5, now() - interval '1 day' from made returning id`;
const OPEN_AUTHORIZATIONS = `insert into payments (id, order_id, user_id, amount, currency, status, authorized_at, updated_at)
	select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 5, 'EUR', 'authorized', now(), now() - interval '1 day'
	from generate_series(1, $1)`;
const unsettled = (id: string, amount: number, age: string) =>
	query(
		`with noted as (insert into refunds (id, payment_id, amount, at) values (gen_random_uuid(), $1, $2, now() - $3::interval) returning id)
		update payments set status = 'partially_refunded', refunded_amount = $2 where id = $1 returning (select id from noted) as refund_id`,
		[id, amount, age],
	).then(([row]) => row!.refund_id as string);
/** Notes a refund in the provider's ledger only: the response was lost. */
const paidAtProvider = ({ order_id }: Order, key: string, amount: number, age: string) =>
	query(
		`with paid as (insert into ledger_refunds (key, charge_key, amount, at) values ($1, $2, $3, now() - $4::interval))
		update ledger_charges set refunded = refunded + $3 where key = $2`,
		[key, order_id, amount, age],
	);

/** The sweeps of one node, with a provider that counts the requests. */
function sweepsOf(node: Shop) {
	const { db, eventData, wakeRelay, provider } = node.broker.getLocalService(
		"payments",
	) as unknown as Dependencies;
	const requested: string[] = [];
	const looked: string[] = [];
	const counting: PaymentProvider = {
		...provider,
		refund(requests) {
			requested.push(...requests.map(({ key }) => key));
			return provider.refund(requests);
		},
		lookup(keys) {
			looked.push(...keys);
			return provider.lookup(keys);
		},
	};
	const dependencies = {
		db,
		eventData,
		wakeRelay,
		provider: counting,
		logger: { warn: () => undefined },
		patience: { totalMs: 5000, idleMs: 5000 },
	};
	return {
		requested,
		looked,
		refunds: createRefunds(dependencies),
		charges: createCharges(dependencies),
	};
}

test("a refund is settled although more failing refunds than a sweep takes are older", async () => {
	await query(FAILING_REFUNDS, [250]);
	const { mine, id } = await captured(10);
	await unsettled(id, 4, "1 minute");
	await eventually(
		async () => expect(await told(mine)).toEqual(["payment.captured 10", "payment.refunded 4"]),
		30,
	);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 6 });
	await query("delete from refunds where settled_at is null");
}, 60_000);

test("a capture is recorded although more open authorizations than a sweep takes are older", async () => {
	await query(OPEN_AUTHORIZATIONS, [250]);
	const mine = order();
	await query(
		`with noted as (insert into ledger_charges (key, status, amount, currency, capture_key) values ($1::text, 'captured', 19.99, 'EUR', $1))
		insert into payments (id, order_id, user_id, amount, currency, status, authorized_at, updated_at)
		values (gen_random_uuid(), $1::uuid, $2, 19.99, 'EUR', 'authorized', now(), now() - interval '1 minute')`,
		[mine.order_id, mine.user_id],
	);
	await eventually(
		async () => expect(await list(mine.order_id)).toMatchObject([{ status: "captured" }]),
		30,
	);
	await query("delete from payments where status = 'authorized'");
}, 60_000);

test("nodes that sweep at the same time share the rows, and leave failed rows alone until their backoff ends", async () => {
	const failing = (await query(FAILING_REFUNDS, [40])).map(({ id }) => id as string).sort();
	await query(OPEN_AUTHORIZATIONS, [40]);
	const nodes = [sweepsOf(shop), sweepsOf(second)];
	for (let turn = 0; turn < 3; turn++)
		await Promise.all(
			nodes.flatMap(({ refunds, charges }) => [refunds.sweep(), charges.reconcile()]),
		);
	const attempted = await query(
		"select id, attempts, next_at > now() as waits from refunds where id = any($1) order by id",
		[failing],
	);
	expect(attempted).toEqual(failing.map((id) => ({ id, attempts: 1, waits: true })));
	const checked = await query(
		"select distinct checks, check_at > now() as waits from payments where status = 'authorized'",
	);
	expect(checked).toEqual([{ checks: 1, waits: true }]);
	for (const kind of ["requested", "looked"] as const) {
		const keys = nodes.flatMap((node) => node[kind]);
		expect(keys).toHaveLength(new Set(keys).size);
	}
	await query("delete from refunds where settled_at is null");
	await query("delete from payments where status = 'authorized'");
});

test("the backoff of a failing refund grows with its attempts, up to a quarter of an hour", async () => {
	const [{ id }] = (await query(FAILING_REFUNDS, [1])) as [{ id: string }];
	const { refunds } = sweepsOf(shop);
	const waits: number[] = [];
	for (let attempt = 0; attempt < 10; attempt++) {
		await query("update refunds set next_at = now() where id = $1", [id]);
		await refunds.sweep();
		const [row] = await query(
			"select extract(epoch from next_at - now())::float8 as wait from refunds where id = $1",
			[id],
		);
		waits.push(row!.wait as number);
	}
	expect(waits[0]).toBeLessThan(11);
	expect(waits[4]).toBeGreaterThan(waits[0]!);
	for (const wait of waits.slice(7)) expect(wait).toBeGreaterThan(400);
	expect(Math.max(...waits)).toBeLessThanOrEqual(900);
	await query("delete from refunds where id = $1", [id]);
});

test("a refund that the provider paid before it forgot the idempotency key is not paid twice", async () => {
	const { mine, id } = await captured(10);
	const refund_id = await unsettled(id, 4, "30 hours");
	await paidAtProvider(mine, refund_id, 4, "30 hours");
	await eventually(
		async () => expect(await told(mine)).toEqual(["payment.captured 10", "payment.refunded 4"]),
		30,
	);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 6 });
}, 60_000);

test("an old refund that the provider never received is paid", async () => {
	const { mine, id } = await captured(10);
	await unsettled(id, 4, "30 hours");
	await eventually(
		async () => expect(await told(mine)).toEqual(["payment.captured 10", "payment.refunded 4"]),
		30,
	);
	expect(await ledger(mine)).toEqual({ charges: 1, balance: 6 });
}, 60_000);

test.each([
	["a reversal", "reversal_at = now() - interval '30 hours'"],
	[
		"a reversal that a node of an earlier version began",
		"reversal_at = null, created_at = now() - interval '30 hours'",
	],
])(
	"%s is not paid twice when it goes on after the provider forgot the idempotency key",
	async (_, began) => {
		const { mine, id } = await captured(10);
		// A partial payout leaves room in the captured amount for a second one.
		await query(
			`update payments set reversal = 'begun', refunded_amount = 6, status = 'partially_refunded', ${began} where id = $1`,
			[id],
		);
		await paidAtProvider(mine, id, 4, "30 hours");
		expect(await reverse(mine)).toEqual([{ status: "done" }]);
		expect(await ledger(mine)).toEqual({ charges: 1, balance: 6 });
	},
);
