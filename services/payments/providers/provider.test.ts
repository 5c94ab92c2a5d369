import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import {
	type Behavior,
	type TestedProvider,
	testedProviders,
} from "../../../test/support/payment-providers.ts";
import type { PaymentProvider, ProviderResult } from "./provider.ts";

const CENTS = 1000;
type Request =
	| { readonly call: "authorize"; readonly capture: boolean }
	| { readonly call: "capture" | "refund"; readonly key: string; readonly cents: number }
	| { readonly call: "void" | "lookup" };

/** Refunds under keys of rejected ones: before the capture, and of more than the rest. */
const REPEATED_REFUNDS: Request[] = [
	{ call: "authorize", capture: false },
	{ call: "refund", key: "1", cents: 300 },
	{ call: "authorize", capture: true },
	{ call: "refund", key: "1", cents: 300 },
	{ call: "refund", key: "2", cents: 1000 },
	{ call: "refund", key: "2", cents: 300 },
];

/** Reference model of a provider with one authorization. */
class Model {
	status: ProviderResult["status"] | "none" = "none";
	captured = 0;
	captureKey = "";
	readonly refunds = new Map<string, number>();
	readonly isValidCard: boolean;
	constructor(behavior: Behavior) {
		this.isValidCard = behavior === "approved";
	}

	get refunded(): number {
		return [...this.refunds.values()].reduce((sum, cents) => sum + cents, 0);
	}
	/** Executes a request and returns the expected result; undefined for a rejection. */
	execute(request: Request, id: string): ProviderResult["status"] | "none" | "paid" | undefined {
		if (request.call === "authorize") {
			if (!this.isValidCard && this.status === "none") this.status = "declined";
			else if (request.capture && ["none", "authorized"].includes(this.status))
				this.capture(id, CENTS);
			else if (this.status === "none") this.status = "authorized";
		} else if (request.call === "capture") {
			if (this.status === "none" || (this.status === "authorized" && request.cents > CENTS))
				return undefined;
			if (this.status === "captured" && this.captureKey !== request.key) return undefined;
			if (this.status === "authorized") this.capture(request.key, request.cents);
		} else if (request.call === "void") {
			if (["none", "authorized"].includes(this.status)) this.status = "closed";
		} else if (request.call === "refund") {
			const isRepeated = this.refunds.has(request.key);
			if (
				!isRepeated &&
				(!["captured", "declined", "closed"].includes(this.status) ||
					this.refunded + request.cents > this.captured)
			)
				return undefined;
			if (!isRepeated) this.refunds.set(request.key, request.cents);
			return "paid";
		}
		return this.status;
	}
	private capture(key: string, cents: number) {
		this.status = "captured";
		this.captureKey = key;
		this.captured = cents;
	}
}

/** Sends a request to the provider and returns its result; undefined for a rejection. */
async function send(
	provider: PaymentProvider,
	request: Request,
	id: string,
	token: string,
): Promise<ProviderResult["status"] | "none" | "paid" | undefined> {
	const statusOf = async (results: Promise<ProviderResult>[]) => (await results[0]!).status;
	const target = { authorization: id, amount: "cents" in request ? request.cents / 100 : 0 };
	switch (request.call) {
		case "authorize":
			return statusOf(
				provider.authorize([
					{ key: id, amount: CENTS / 100, currency: "EUR", token, capture: request.capture },
				]),
			);
		case "capture":
			return statusOf(provider.capture([{ key: request.key || id, ...target }])).catch(
				() => undefined,
			);
		case "refund":
			return provider.refund([{ key: `${id} ${request.key}`, ...target }])[0]!.then(
				() => "paid" as const,
				() => undefined,
			);
		case "void":
			return statusOf(provider.void([{ key: id, authorization: id }]));
		case "lookup":
			return (await provider.lookup([id])[0]!)?.result.status ?? "none";
	}
}

const requests = fc.array(
	fc.oneof(
		fc.record({ call: fc.constant("authorize" as const), capture: fc.boolean() }),
		fc.record({
			call: fc.constant("capture" as const),
			key: fc.constantFrom("", "", "another"),
			cents: fc.constantFrom(CENTS, CENTS + 1),
		}),
		fc.record({
			call: fc.constant("refund" as const),
			key: fc.constantFrom("1", "2", "3"),
			cents: fc.constantFrom(300, 700, CENTS),
		}),
		fc.record({ call: fc.constantFrom("void" as const, "lookup" as const) }),
	),
	{ maxLength: 12 },
);

describe.each(Object.keys(testedProviders))("the provider %s", (name) => {
	let tested: TestedProvider;
	let provider: PaymentProvider;
	beforeAll(async () => {
		tested = await testedProviders[name]!();
		provider = tested.provider;
	});
	afterAll(() => tested?.stop());

	const requestOf = (behavior: Behavior, capture = true) => ({
		key: uuid(),
		amount: 10,
		currency: "EUR",
		token: tested.tokens[behavior],
		capture,
	});
	type AuthorizeRequest = ReturnType<typeof requestOf>;
	const authorize = (request: AuthorizeRequest) => provider.authorize([request])[0]!;
	const capture = (key: string, amount = 10) =>
		provider.capture([{ key, authorization: key, amount }])[0]!;
	const voidIt = (key: string) => provider.void([{ key, authorization: key }])[0]!;
	const lookup = (key: string) => provider.lookup([key])[0]!;
	const refund = (authorization: string, key: string, amount: number) =>
		provider.refund([{ key, authorization, amount }])[0]!;
	const findRefund = (authorization: string, key: string) =>
		provider.findRefunds([{ key, authorization }])[0]!;
	const ledgerOf = (key: string) =>
		provider.ledgerEntries({ after: key.slice(0, -1), upto: key, limit: 9 });
	const transactionsOf = async (key: string) =>
		(await lookup(key))!.transactions
			.map(({ type, state, amount }) => `${type} ${state} ${amount}`)
			.filter((one) => !one.startsWith("authorization"));

	test("any sequence of requests has the results and the ledger of the model", async () => {
		await fc.assert(
			fc.asyncProperty(
				requests,
				fc.constantFrom<Behavior>("approved", "approved", "declined", "unknown"),
				async (requests, behavior) => {
					const id = uuid();
					const model = new Model(behavior);
					for (const request of requests) {
						const keyed =
							request.call === "capture" && request.key === "" ? { ...request, key: id } : request;
						const result = await send(provider, request, id, tested.tokens[behavior]);
						expect(result).toBe(model.execute(keyed, id));
					}
					const open = model.status === "authorized" ? CENTS : 0;
					const expected = {
						key: id,
						authorized: open / 100,
						charged: model.captured / 100,
						refunded: model.refunded / 100,
					};
					expect(await ledgerOf(id)).toEqual(model.status === "none" ? [] : [expected]);
				},
			),
			{ seed: 20_260_101, numRuns: 150, examples: [[REPEATED_REFUNDS, "approved"]] },
		);
	});

	test("concurrent captures and voids return the result of the first one", async () => {
		for (let round = 0; round < 20; round++) {
			const request = requestOf("approved", false);
			const { key } = request;
			await authorize(request);
			const results = await Promise.all([capture(key), voidIt(key), capture(key), voidIt(key)]);
			expect(new Set(results.map(({ status }) => status)).size).toBe(1);
			const charged = results[0]!.status === "captured" ? 10 : 0;
			expect(await ledgerOf(key)).toEqual([{ key, authorized: 0, charged, refunded: 0 }]);
		}
	});

	test("concurrent repetitions of a request charge once", async () => {
		const request = requestOf("approved");
		const results = await Promise.allSettled(Array.from({ length: 5 }, () => authorize(request)));
		for (const result of results)
			if (result.status === "fulfilled") expect(result.value).toMatchObject({ status: "captured" });
		expect(await authorize(request)).toMatchObject({ status: "captured", amount: 10 });
		expect(await ledgerOf(request.key)).toMatchObject([{ charged: 10 }]);
	});

	test("a rejected refund does not affect other refunds of the batch", async () => {
		const large = requestOf("approved");
		const small = { ...requestOf("approved"), amount: 1 };
		await Promise.all(provider.authorize([large, small]));
		const refunds = provider.refund(
			[large.key, small.key, uuid()].map((authorization) => ({
				key: uuid(),
				authorization,
				amount: 5,
			})),
		);
		const results = await Promise.allSettled(refunds);
		expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
	});

	test("an unknown key has no record and no refund", async () => {
		expect(await lookup(uuid())).toBeNull();
		expect(await findRefund(uuid(), uuid())).toBeNull();
	});

	test("a declined payment reports its reason, also when it is looked up", async () => {
		const request = requestOf("declined");
		const declined = await authorize(request);
		expect(declined).toMatchObject({
			status: "declined",
			reason: expect.stringMatching(/declined/),
		});
		expect(await authorize({ ...request, token: tested.tokens.approved })).toEqual(declined);
		expect(await lookup(request.key)).toMatchObject({ result: declined });
		expect(await transactionsOf(request.key)).toEqual([expect.stringMatching(/^capture failed/)]);
	});

	test("a payment that requires an action is captured after the buyer confirmed", async () => {
		const request = requestOf("requiresAction");
		const waiting = await authorize(request);
		expect(waiting).toMatchObject({
			status: "requires_action",
			client_secret: expect.stringMatching(/./),
		});
		expect(await authorize(request)).toEqual(waiting);
		expect(await lookup(request.key)).toMatchObject({ result: waiting });
		await tested.confirm(request.key, true);
		expect(await authorize(request)).toMatchObject({ status: "captured", amount: 10 });
		expect(await transactionsOf(request.key)).toEqual(["capture succeeded 10"]);
	});

	test("a payment whose buyer fails to confirm is declined", async () => {
		const request = requestOf("requiresAction");
		await authorize(request);
		await tested.confirm(request.key, false);
		const declined = { status: "declined", reason: expect.stringMatching(/authentication/) };
		expect(await lookup(request.key)).toMatchObject({ result: declined });
		expect(await authorize(request)).toMatchObject(declined);
		expect(await voidIt(request.key)).toMatchObject(declined);
	});

	test("a payment that requires an action can be voided", async () => {
		const request = requestOf("requiresAction");
		await authorize(request);
		expect(await voidIt(request.key)).toMatchObject({ status: "closed" });
		expect(await authorize(request)).toMatchObject({ status: "closed" });
		expect(await transactionsOf(request.key)).toEqual([expect.stringMatching(/^void succeeded/)]);
	});

	test.each([true, false])(
		"a debit cannot be voided, and is settled (%j)",
		async (isSuccessful) => {
			const request = requestOf("debit");
			expect(await authorize(request)).toMatchObject({ status: "processing" });
			expect(await voidIt(request.key)).toMatchObject({ status: "processing" });
			expect(await lookup(request.key)).toMatchObject({ result: { status: "processing" } });
			await tested.settle(request.key, isSuccessful);
			const settled = isSuccessful ? { status: "captured", amount: 10 } : { status: "declined" };
			expect(await lookup(request.key)).toMatchObject({ result: settled });
			expect(await authorize(request)).toMatchObject(settled);
			expect(await ledgerOf(request.key)).toMatchObject([{ charged: isSuccessful ? 10 : 0 }]);
		},
	);

	test.each([
		[true, "succeeded", 4, "refund succeeded 4"],
		[false, "failed", 0, "refund_failed succeeded 4"],
	] as const)("a pending refund is decided (%j)", async (isSuccessful, status, refunded, last) => {
		const request = requestOf("refundPending");
		const { key } = request;
		const id = uuid();
		await authorize(request);
		expect(await refund(key, id, 4)).toMatchObject({ status: "pending" });
		expect(await findRefund(key, id)).toMatchObject({ status: "pending", amount: 4 });
		expect(await ledgerOf(key)).toMatchObject([{ charged: 10, refunded: 4 }]);
		await tested.settleRefunds(key, isSuccessful);
		expect(await refund(key, id, 4)).toMatchObject({ status });
		expect(await findRefund(key, id)).toMatchObject({ status, amount: 4 });
		expect(await ledgerOf(key)).toMatchObject([{ charged: 10, refunded }]);
		const transactions = ["capture succeeded 10", "refund requested 4", last];
		expect(await transactionsOf(key)).toEqual(transactions);
		const { transactions: all } = (await lookup(key))!;
		expect(all.filter(({ type }) => type.startsWith("refund"))).toMatchObject([
			{ reference: id },
			{ reference: id },
		]);
	});

	test("the amount of a failed refund can be refunded again", async () => {
		const request = requestOf("refundFails");
		const { key } = request;
		const id = uuid();
		await authorize(request);
		await refund(key, id, 10);
		await tested.settleRefunds(key, false);
		expect(await refund(key, id, 10)).toMatchObject({
			status: "failed",
			reason: expect.stringMatching(/./),
		});
		expect(await ledgerOf(key)).toMatchObject([{ charged: 10, refunded: 0 }]);
		await refund(key, uuid(), 10);
		const requested = (await transactionsOf(key)).filter((one) => one === "refund requested 10");
		expect(requested).toHaveLength(2);
	});

	test("a dispute and its reversal are part of the record", async () => {
		const request = requestOf("approved");
		const { key } = request;
		await authorize(request);
		await tested.dispute(key);
		expect(await transactionsOf(key)).toEqual(["capture succeeded 10", "dispute succeeded 10"]);
		await tested.reverseDispute(key);
		expect((await transactionsOf(key)).at(-1)).toBe("dispute_reversed succeeded 10");
		const { result, transactions } = (await lookup(key))!;
		expect(result).toMatchObject({ status: "captured", amount: 10 });
		const references = transactions
			.filter(({ type }) => type.startsWith("dispute"))
			.map(({ reference }) => reference);
		expect(new Set(references).size).toBe(1);
	});

	test("the ledger contains payments in order of their keys, in pages", async () => {
		const requests = Array.from({ length: 5 }, () => requestOf("approved"));
		const keys = requests.map(({ key }) => key).sort();
		await Promise.all(provider.authorize(requests));
		const range = { after: keys[0]!, upto: keys[4]! };
		const page = await provider.ledgerEntries({ ...range, limit: 3 });
		expect(page.map(({ key }) => key)).toEqual(keys.slice(1, 4));
		const next = await provider.ledgerEntries({ ...range, after: keys[3]!, limit: 3 });
		expect(next).toMatchObject([{ key: keys[4], charged: 10 }]);
	});
});
