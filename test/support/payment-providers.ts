import { Database, databaseUrl } from "../../lib/persistence/database.ts";
import { readEnv } from "../../lib/settings/env.ts";
import type { PaymentProvider } from "../../services/payments/providers/provider.ts";
import { createSimulated } from "../../services/payments/providers/simulated/provider.ts";
import { createStripe } from "../../services/payments/providers/stripe/provider.ts";
import { type Databases, makeDatabases } from "./databases.ts";
import { type StripeOptions, type StripeStandIn, startStripe } from "./stripe/server.ts";

/** Payment methods by the behavior that the contract tests need. */
export type Behavior =
	| "approved"
	| "declined"
	| "unknown"
	| "requiresAction"
	| "debit"
	| "refundPending"
	| "refundFails";

/** A provider under test, with its buyers and banks. */
export interface TestedProvider {
	readonly provider: PaymentProvider;
	readonly db: Database;
	readonly databases: Databases;
	/** Token of a payment method with this behavior. */
	readonly tokens: Readonly<Record<Behavior, string>>;
	/** The buyer confirms a payment that requires an action, or fails to. */
	confirm(key: string, isSuccessful: boolean): Promise<void>;
	/** The bank decides a payment in `processing`. */
	settle(key: string, isSuccessful: boolean): Promise<void>;
	/** The bank decides the pending refunds of a payment. */
	settleRefunds(key: string, isSuccessful: boolean): Promise<void>;
	dispute(key: string): Promise<void>;
	reverseDispute(key: string): Promise<void>;
	stop(): Promise<void>;
}

const logger = { info: () => undefined, warn: () => undefined };

async function startDatabase() {
	const databases = await makeDatabases(["payments"]);
	const db = new Database({ url: databaseUrl(databases.pattern, "payments"), poolSize: 5 });
	const stop = async () => {
		await db.close();
		await databases.drop();
	};
	return { databases, db, stop };
}

async function startSimulated(): Promise<TestedProvider> {
	const { stop, ...database } = await startDatabase();
	const provider = createSimulated(database);
	const decide = async (key: string, isSuccessful: boolean) => {
		await provider.simulate!(key, isSuccessful ? "succeed" : "fail");
	};
	return {
		...database,
		provider,
		tokens: {
			approved: "tok_ok",
			declined: "tok_declined",
			unknown: "tok_unknown",
			requiresAction: "tok_3ds",
			debit: "tok_debit",
			refundPending: "tok_refund_pending",
			refundFails: "tok_refund_fails",
		},
		confirm: decide,
		settle: decide,
		settleRefunds: decide,
		async dispute(key) {
			await provider.simulate!(key, "dispute");
		},
		async reverseDispute(key) {
			await provider.simulate!(key, "reverse_dispute");
		},
		stop,
	};
}

/** The Stripe provider with the stand-in for its API. */
export interface TestedStripe extends TestedProvider {
	readonly stripe: StripeStandIn;
	/** The ID of a payment's PaymentIntent. */
	intentIdOf(key: string): Promise<string>;
	/**
	 * Creates a provider as another process would, with the same database.
	 * @param timeoutMs time limit for a response of the stand-in
	 */
	createAnother(env?: Readonly<Record<string, string>>, timeoutMs?: number): PaymentProvider;
}

/** @param timeoutMs time limit for a response of the stand-in */
export async function startStripeProvider(
	options: StripeOptions = {},
	timeoutMs?: number,
): Promise<TestedStripe> {
	const { stop, ...database } = await startDatabase();
	const stripe = await startStripe(options);
	const created: PaymentProvider[] = [];
	function createAnother(
		more: Readonly<Record<string, string>> = {},
		limitMs = timeoutMs,
	): PaymentProvider {
		const env = readEnv({
			STRIPE_SECRET_KEY: stripe.apiKey,
			STRIPE_WEBHOOK_SECRET: stripe.webhookSecret,
			STRIPE_API_URL: stripe.url,
			...more,
		});
		const provider = createStripe({ db: database.db, logger, env }, limitMs);
		created.push(provider);
		return provider;
	}
	const provider = createAnother();
	const outcomeOf = (isSuccessful: boolean) => (isSuccessful ? "succeeded" : "failed");
	async function intentIdOf(key: string): Promise<string> {
		const [row] = await database.databases.query<{ intent_id: string }>(
			"payments",
			"select intent_id from stripe_intents where key = $1",
			[key],
		);
		return row!.intent_id;
	}
	return {
		...database,
		provider,
		stripe,
		intentIdOf,
		createAnother,
		tokens: {
			approved: "pm_card_visa",
			declined: "pm_card_chargeDeclined",
			unknown: "pm_unknown",
			requiresAction: "pm_card_authenticationRequired",
			debit: "pm_sepaDebit",
			refundPending: "pm_card_pendingRefund",
			refundFails: "pm_card_refundFail",
		},
		async confirm(key, isSuccessful) {
			await stripe.authenticate(await intentIdOf(key), outcomeOf(isSuccessful));
		},
		async settle(key, isSuccessful) {
			await stripe.settle(await intentIdOf(key), outcomeOf(isSuccessful));
		},
		async settleRefunds(key, isSuccessful) {
			const id = await intentIdOf(key);
			const { refunds } = await stripe.dump();
			for (const refund of refunds)
				if (refund.payment_intent === id)
					await stripe.resolveRefund(refund.id, outcomeOf(isSuccessful));
		},
		async dispute(key) {
			await stripe.openDispute(await intentIdOf(key));
		},
		async reverseDispute(key) {
			const id = await intentIdOf(key);
			const { disputes } = await stripe.dump();
			const own = disputes.find(({ payment_intent }) => payment_intent === id)!;
			await stripe.closeDispute(own.id, "won");
		},
		async stop() {
			await Promise.all(created.map((one) => one.close?.()));
			await stripe.close();
			await stop();
		},
	};
}

/** Functions that start each provider with its contract tests. */
export const testedProviders: Readonly<Record<string, () => Promise<TestedProvider>>> = {
	simulated: startSimulated,
	stripe: () => startStripeProvider(),
};
