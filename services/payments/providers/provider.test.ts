import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import type { PaymentProvider, ProviderResult } from "./provider.ts";
import { simulatedProvider } from "./simulated/provider.ts";

let databases: Databases;
let db: Database;
let provider: PaymentProvider;
beforeAll(async () => {
	databases = await makeDatabases(["payments"]);
	db = new Database({ url: databaseUrl(databases.pattern, "payments"), poolSize: 5 });
	provider = simulatedProvider(db);
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

const CENTS = 1000;
type Ask =
	| { readonly call: "authorize"; readonly capture: boolean }
	| { readonly call: "capture" | "refund"; readonly key: string; readonly cents: number }
	| { readonly call: "void" | "lookup" };

/** What a provider has to know of one authorisation, and how it answers. */
class Model {
	status: ProviderResult["status"] | "none" = "none";
	captured = 0;
	captureKey = "";
	readonly refunds = new Map<string, number>();
	readonly works: boolean;
	constructor(token: string) {
		this.works = token === "tok_ok";
	}

	get refunded(): number {
		return [...this.refunds.values()].reduce((sum, cents) => sum + cents, 0);
	}
	/** The status that is answered; undefined for a refusal. */
	take(ask: Ask, id: string): ProviderResult["status"] | "none" | "paid" | undefined {
		if (ask.call === "authorize") {
			if (!this.works && this.status === "none") this.status = "declined";
			else if (ask.capture && ["none", "authorized"].includes(this.status)) this.capture(id, CENTS);
			else if (this.status === "none") this.status = "authorized";
		} else if (ask.call === "capture") {
			if (this.status === "none" || (this.status === "authorized" && ask.cents > CENTS))
				return undefined;
			if (this.status === "captured" && this.captureKey !== ask.key) return undefined;
			if (this.status === "authorized") this.capture(ask.key, ask.cents);
		} else if (ask.call === "void") {
			if (["none", "authorized"].includes(this.status)) this.status = "closed";
		} else if (ask.call === "refund") {
			const known = this.refunds.has(ask.key);
			if (
				!known &&
				(!["captured", "declined", "closed"].includes(this.status) ||
					this.refunded + ask.cents > this.captured)
			)
				return undefined;
			if (!known) this.refunds.set(ask.key, ask.cents);
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

async function put(
	ask: Ask,
	id: string,
	token: string,
): Promise<ProviderResult["status"] | "none" | "paid" | undefined> {
	const status = async (answers: Promise<ProviderResult | null>[]) =>
		(await answers[0]!)?.status ?? "none";
	const sum = { authorization: id, amount: "cents" in ask ? ask.cents / 100 : 0 };
	switch (ask.call) {
		case "authorize":
			return status(
				provider.authorize([
					{ key: id, amount: CENTS / 100, currency: "EUR", token, capture: ask.capture },
				]),
			);
		case "capture":
			return status(provider.capture([{ key: ask.key || id, ...sum }])).catch(() => undefined);
		case "refund":
			return provider.refund([{ key: `${id} ${ask.key}`, ...sum }])[0]!.then(
				() => "paid" as const,
				() => undefined,
			);
		case "void":
			return status(provider.void([{ key: id, authorization: id }]));
		case "lookup":
			return status(provider.lookup([id]));
	}
}

const asks = fc.array(
	fc.oneof(
		fc.record({
			call: fc.constant("authorize" as const),
			capture: fc.boolean(),
			token: fc.constantFrom("tok_ok", "tok_ok", "tok_declined"),
		}),
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

test("whatever it is asked in whatever order, it captures once at most, pays back no more than that, and its books say so", async () => {
	await fc.assert(
		fc.asyncProperty(
			asks,
			fc.constantFrom("tok_ok", "tok_ok", "tok_declined"),
			async (all, token) => {
				const id = uuid();
				const model = new Model(token);
				for (const ask of all) {
					const keyed = ask.call === "capture" && ask.key === "" ? { ...ask, key: id } : ask;
					expect(await put(ask, id, token)).toBe(model.take(keyed, id));
				}
				const [book] = await provider.ledgerEntries({
					after: `${id.slice(0, -1)}`,
					upto: id,
					limit: 1,
				});
				const open = model.status === "authorized" ? CENTS : 0;
				const expected = {
					key: id,
					authorized: open / 100,
					charged: model.captured / 100,
					refunded: model.refunded / 100,
				};
				expect(book).toEqual(model.status === "none" ? undefined : expected);
			},
		),
		{ numRuns: 150 },
	);
}, 60_000);

test("of everybody who captures or voids the same authorisation at the same time one wins, and all are told who", async () => {
	for (let round = 0; round < 20; round++) {
		const id = uuid();
		await provider.authorize([
			{ key: id, amount: 10, currency: "EUR", token: "tok_ok", capture: false },
		])[0];
		const capture = () => provider.capture([{ key: id, authorization: id, amount: 10 }])[0]!;
		const release = () => provider.void([{ key: id, authorization: id }])[0]!;
		const answers = await Promise.all([capture(), release(), capture(), release()]);
		expect(new Set(answers.map(({ status }) => status)).size).toBe(1);
		const charged = answers[0]!.status === "captured" ? 10 : 0;
		expect(await provider.ledgerEntries({ after: id.slice(0, -1), upto: id, limit: 9 })).toEqual([
			{ key: id, authorized: 0, charged, refunded: 0 },
		]);
	}
});

test("one refund that is refused takes no other with it", async () => {
	const [rich, poor] = [uuid(), uuid()];
	const ask = { currency: "EUR", token: "tok_ok", capture: true };
	await Promise.all(
		provider.authorize([
			{ ...ask, key: rich, amount: 10 },
			{ ...ask, key: poor, amount: 1 },
		]),
	);
	const refunds = provider.refund(
		[rich, poor, uuid()].map((authorization) => ({ key: uuid(), authorization, amount: 5 })),
	);
	const results = await Promise.allSettled(refunds);
	expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
});
