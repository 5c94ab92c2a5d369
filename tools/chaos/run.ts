import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { Call } from "../../lib/contracts/contract.ts";
import { LEAST_MAX_PAYLOAD } from "../../lib/resilience/message-size.ts";
import { readEnv } from "../../lib/settings/env.ts";
import { createNode } from "../../lib/settings/node.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { walkAudit } from "../../scripts/audit/walk.ts";
import { type Purchase, type Shopper, shop, work } from "./buyers.ts";
import { checkCarts, createCoupons } from "./cart-checks.ts";
import { shopWithCarts } from "./carts.ts";
import { check, crashes, type Finding, unsettled } from "./checks.ts";
import { client } from "./client.ts";
import { ADMIN, type Cluster, type Size, startCluster } from "./cluster.ts";
import { type InjectedFault, injectFaults, plan } from "./faults.ts";
import { until } from "./members.ts";
import { BUGS, type Bug, type Profile, type ProfileName, profileOf } from "./profiles.ts";
import { random } from "./random.ts";
import { openStripe } from "./stripe.ts";
import { Tally } from "./tally.ts";
import { checkThefts, gatewaysAt, runThief, type Theft } from "./thieves.ts";

interface ChaosOptions {
	readonly seconds: number;
	readonly seed: number;
	readonly buyers: number;
	readonly size: Size;
	readonly bug?: Bug | undefined;
	/** Fault profile. By default the one that reveals the bug, or `all`. */
	readonly faults?: ProfileName | undefined;
	/** Seconds within which all sagas and events must settle, instead of those of the profile. */
	readonly settleSeconds?: number;
	print(line: string): void;
	/** Called about five times a second during fault injection. */
	onProgress(seconds: number, requests: number): void;
	/** Receives the function that stops the cluster, before anything is started. */
	readonly onStart?: ((stop: () => Promise<void>) => void) | undefined;
}
export interface ChaosResult {
	readonly findings: readonly Finding[];
	readonly faults: readonly InjectedFault[];
	readonly tally: Tally;
	readonly orders: Readonly<Record<string, number>>;
	/** Accounts whose owner changed the password while an attacker refreshed a stolen session. */
	readonly thefts: number;
	/** Seconds from the last fault until everything had settled. */
	readonly settledAfter: number;
}

/** Limit of the wait for the administrator, and of the set-up after it. */
const OPENING_MS = 30_000;
const SETTLE_SECONDS = 30;
const PRODUCTS = 12;
const THIEVES = 2;
/** Hot products sell out, the others do not. */
const stockOf = (n: number) => (n < 3 ? 150 : 5000);
const PLENTY = 1_000_000;

/**
 * Runs a cluster with buyers and faults, and checks the invariants after everything has settled.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
	const { seconds, seed, print, bug } = options;
	const profile = profileOf(options.faults, bug);
	const settleSeconds = options.settleSeconds ?? profile.settleSeconds ?? SETTLE_SECONDS;
	const preloads = [
		...(bug ? [`bugs/${bug}.ts`] : []),
		...(profile.slow ? [`slow/${profile.slow}.ts`] : []),
	];
	const stripe = profile.stripe && (await openStripe(seed));
	const cluster = await startCluster(
		options.size,
		preloads.map((file) => join(import.meta.dirname, file)),
		print,
		{
			maxPayload: profile.large && LEAST_MAX_PAYLOAD,
			env: stripe?.env,
			onStart: options.onStart,
		},
	).catch(async (error) => {
		await stripe?.close();
		throw error;
	});
	try {
		await stripe?.connect(cluster.urls);
		const { shoppers, admin, stock } = await openShop(cluster, options, profile);
		print(`${seconds} s of chaos, seed ${seed} …`);
		const start = Date.now();
		const closingAt = start + seconds * 1000;
		const tally = new Tally(start);
		let waiting = true;
		let deadline = Number.POSITIVE_INFINITY;
		const market = {
			client: client(cluster.urls, tally, random(seed)),
			seed,
			profile,
			products: [...stock.keys()],
			admin: () => admin,
			// A fault that waits for its moment requires buyers that bring it about.
			closing: () => Date.now() > closingAt && !(profile.moment && waiting),
			closed: () => Date.now() > deadline,
		};
		const [purchases, checkouts]: [Purchase[], Purchase[]] = [[], []];
		const withCarts = Math.round(shoppers.length * (profile.carts?.share ?? 0));
		const shopping = shoppers.map((shopper, n) =>
			n < withCarts
				? shopWithCarts(n, shopper, market, checkouts)
				: shop(n, shopper, market, purchases),
		);
		const working = work(purchases, market);
		const thefts: Theft[] = [];
		const stealing = Array.from({ length: THIEVES }, (_, n) => runThief(n, market, thefts));
		const progress = setInterval(
			() => options.onProgress((Date.now() - start) / 1000, tally.requests),
			200,
		);
		const { moment } = profile;
		const isMoment = moment
			? async (node: string) => (await cluster.query("orders", moment, [node])).length > 0
			: undefined;
		const faults = await injectFaults(
			plan(seed, seconds, cluster.members, profile),
			cluster.members,
			start,
			isMoment,
		);
		waiting = false;
		await after(Math.max(0, closingAt - Date.now()));
		clearInterval(progress);
		print("Fault injection has ended; waiting for sagas and events to settle …");
		const faultsEndedAt = Date.now();
		deadline = faultsEndedAt + settleSeconds * 1000;
		await stripe?.stopFaults();
		await Promise.all([...shopping, working, ...stealing]);
		// Stop as soon as the deliberate bug is detected, because its effect may disappear.
		const isFound = (found: readonly Finding[]) =>
			found.some(({ invariant }) => bug && invariant === BUGS[bug].breaks);
		const verify = async () => [
			...(await check(cluster, purchases, checkouts, stock)),
			...(await checkCarts(cluster)),
			...(await checkThefts(gatewaysAt(cluster.urls), thefts)),
			...((await stripe?.check(cluster)) ?? []),
		];
		const findings = await settle(cluster, verify, deadline, isFound);
		const orders = await cluster.query<{ status: string; n: number }>(
			"orders",
			"select status, count(*)::int as n from orders group by status",
		);
		return {
			findings,
			faults,
			tally,
			orders: Object.fromEntries(orders.map(({ status, n }) => [status, n])),
			thefts: thefts.length,
			settledAfter: (Date.now() - faultsEndedAt) / 1000,
		};
	} finally {
		await cluster.stop();
		await stripe?.close();
	}
}

/** Creates accounts and products before fault injection. */
async function openShop(
	cluster: Cluster,
	{ seed, buyers }: ChaosOptions,
	{ large, carts }: Profile,
) {
	let deadline = Date.now() + OPENING_MS;
	const { requestUntilDone } = client(cluster.urls, new Tally(Date.now()), random(seed));
	const late = () => Date.now() > deadline;
	const request = async (route: string, options: object) => {
		const response = await requestUntilDone("open", route, options, late);
		if (!response || response.status >= 400)
			throw new Error(`${route} failed: ${JSON.stringify(response ?? "no response")}`);
		return response.body;
	};
	const login = async ({ email, password }: typeof ADMIN) =>
		(await request("POST /api/users/login", { body: { email, password } })).access_token as string;
	// The users node creates the administrator shortly after it is ready.
	let admin = "";
	await until(async () => {
		admin = await login(ADMIN);
	}, OPENING_MS / 1000);
	deadline = Date.now() + OPENING_MS;
	const register = async (n: number): Promise<Shopper> => {
		const account = { email: `buyer-${n}@example.com`, password: "correct horse" };
		const { id } = await request("POST /api/users", {
			body: { ...account, full_name: `Buyer ${n}` },
		});
		return { id, token: await login(account) };
	};
	const list = async (n: number): Promise<[id: string, stock: number]> => {
		const stock = large ? PLENTY : stockOf(n);
		// Each character takes three bytes in UTF-8.
		const description = large ? "本".repeat(large.description) : null;
		const body = { name: `Product ${n}`, price: 10 + n, category: "Things", stock, description };
		return [(await request("POST /api/products", { token: admin, body })).id, stock];
	};
	if (carts) await createCoupons((body) => request("POST /api/promotions", { token: admin, body }));
	const shoppers = await Promise.all(Array.from({ length: buyers }, (_, n) => register(n)));
	const stock = new Map(
		await Promise.all(Array.from({ length: large?.lines ?? PRODUCTS }, (_, n) => list(n))),
	);
	return { shoppers, admin, stock };
}

/**
 * Waits until no order or event is in progress, or until the deadline, and returns the violations.
 */
async function settle(
	cluster: Cluster,
	verify: () => Promise<Finding[]>,
	deadline: number,
	isEnough: (found: readonly Finding[]) => boolean,
): Promise<Finding[]> {
	const env = readEnv({ ...cluster.env, NODEID: "auditor", LOGLEVEL: "fatal" });
	const broker = createNode({ ...brokerOptions(env), logger: false }, env, []);
	await broker.start();
	try {
		const call = broker.call.bind(broker) as Call;
		for (let last: Finding[] = []; ; await after(500)) {
			const late = Date.now() > deadline;
			if (!late && (await unsettled(cluster)) > 0) continue;
			try {
				const { violations, skipped } = await walkAudit(call, { quiet: 0, recheck: 0 });
				last = [...violations, ...crashes(cluster.members), ...(await verify())];
				if (last.length === 0 && skipped === 0) return [];
			} catch (error) {
				last = [{ invariant: "NO_AUDIT", subject: "orders.audit", detail: String(error) }];
			}
			if (late || isEnough(last)) return last;
		}
	} finally {
		await broker.stop();
	}
}
