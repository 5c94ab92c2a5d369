import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { v7 as uuid } from "uuid";
import { Database, databaseUrl } from "../../../lib/persistence/database.ts";
import { type Databases, makeDatabases } from "../../../test/support/databases.ts";
import type { PaymentProvider, ProviderResult } from "./provider.ts";
import { createSimulated } from "./simulated/provider.ts";

let databases: Databases;
let db: Database;
let provider: PaymentProvider;
beforeAll(async () => {
	databases = await makeDatabases(["payments"]);
	db = new Database({ url: databaseUrl(databases.pattern, "payments"), poolSize: 5 });
	provider = createSimulated({ db });
});
afterAll(async () => {
	await db?.close();
	await databases?.drop();
});

const CENTS = 1000;
type Request =
	| { readonly call: "authorize"; readonly capture: boolean }
	| { readonly call: "capture" | "refund"; readonly key: string; readonly cents: number }
	| { readonly call: "void" | "lookup" };

/** Reference model of a provider with one authorization. */
class Model {
	status: ProviderResult["status"] | "none" = "none";
	captured = 0;
	captureKey = "";
	readonly refunds = new Map<string, number>();
	readonly isValidCard: boolean;
	constructor(token: string) {
		this.isValidCard = token === "tok_ok";
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

test("any sequence of requests has the results and the ledger of the model", async () => {
	await fc.assert(
		fc.asyncProperty(
			requests,
			fc.constantFrom("tok_ok", "tok_ok", "tok_declined"),
			async (requests, token) => {
				const id = uuid();
				const model = new Model(token);
				for (const request of requests) {
					const keyed =
						request.call === "capture" && request.key === "" ? { ...request, key: id } : request;
					expect(await send(request, id, token)).toBe(model.execute(keyed, id));
				}
				const [entry] = await provider.ledgerEntries({
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
				expect(entry).toEqual(model.status === "none" ? undefined : expected);
			},
		),
		{ numRuns: 150 },
	);
}, 60_000);

test("concurrent captures and voids return the result of the first one", async () => {
	for (let round = 0; round < 20; round++) {
		const id = uuid();
		await provider.authorize([
			{ key: id, amount: 10, currency: "EUR", token: "tok_ok", capture: false },
		])[0];
		const capture = () => provider.capture([{ key: id, authorization: id, amount: 10 }])[0]!;
		const voidIt = () => provider.void([{ key: id, authorization: id }])[0]!;
		const results = await Promise.all([capture(), voidIt(), capture(), voidIt()]);
		expect(new Set(results.map(({ status }) => status)).size).toBe(1);
		const charged = results[0]!.status === "captured" ? 10 : 0;
		expect(await provider.ledgerEntries({ after: id.slice(0, -1), upto: id, limit: 9 })).toEqual([
			{ key: id, authorized: 0, charged, refunded: 0 },
		]);
	}
});

test("a rejected refund does not affect other refunds of the batch", async () => {
	const [large, small] = [uuid(), uuid()];
	const request = { currency: "EUR", token: "tok_ok", capture: true };
	await Promise.all(
		provider.authorize([
			{ ...request, key: large, amount: 10 },
			{ ...request, key: small, amount: 1 },
		]),
	);
	const refunds = provider.refund(
		[large, small, uuid()].map((authorization) => ({ key: uuid(), authorization, amount: 5 })),
	);
	const results = await Promise.allSettled(refunds);
	expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
});
