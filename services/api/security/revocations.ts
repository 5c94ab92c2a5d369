import type { Logger, ServiceBroker } from "moleculer";
import { type Poller, startPoller } from "../../../lib/async/poller.ts";
import { isWorthRetrying } from "../../../lib/resilience/outages.ts";
import { ACCESS_TOKEN_SECONDS, type AccessClaims } from "../../../lib/security/access-token.ts";
import {
	REVOCATIONS,
	REVOCATIONS_PAGE_SIZE,
	type Revocation,
} from "../../../lib/security/revocations.ts";

/** Milliseconds between two polls. */
const POLL_MS = 1000;
/** Time limit of one poll, in milliseconds. */
const TIMEOUT_MS = 1000;
/** Maximum wait for the whole list at the start, in milliseconds. */
const START_MS = 10_000;
/** Milliseconds until a revoked token has expired, with a margin for clock differences. */
const LIFETIME = (ACCESS_TOKEN_SECONDS + 120) * 1000;

/** Tokens of a user with a version below `below`, except those of one session. */
interface UserRevocation {
	readonly below: number;
	readonly except: string | null;
	/** By `performance.now()`, which is independent of corrections of the system clock. */
	readonly until: number;
}
interface Page {
	readonly revocations: readonly Revocation[];
	readonly cursor?: string;
	readonly more?: boolean;
}

/**
 * Revoked access tokens that have not expired. The list is polled every second, and immediately
 * after a hint. While polling fails, the loaded list remains in use. See docs/adr/0006.
 */
export class Revocations {
	readonly #sessions = new Map<string, number>();
	readonly #users = new Map<string, UserRevocation[]>();
	readonly #broker: ServiceBroker;
	readonly #logger: Logger;
	/** Position of the next page; undefined reads the whole list. */
	#next: { readonly cursor: string } | { readonly since: string } | undefined;
	#known = false;
	#failing = false;
	#poller: Poller | undefined;

	constructor(broker: ServiceBroker, logger: Logger) {
		this.#broker = broker;
		this.#logger = logger;
	}

	/** True once the whole list has been loaded. Before that, no token can be accepted. */
	get known(): boolean {
		return this.#known;
	}

	/**
	 * Loads the whole list, because a gateway that lacks it rejects every token, and starts polling.
	 * Does not wait for an auth service that is unavailable: many routes need no token.
	 */
	async start(): Promise<void> {
		await this.#load(performance.now() + START_MS);
		this.#poller = startPoller({
			intervalMs: POLL_MS,
			poll: () => this.#poll(),
			onError: (error) => this.#onError(error),
		});
	}
	wake(): void {
		this.#poller?.wake();
	}
	async stop(): Promise<void> {
		await this.#poller?.stop();
	}

	isVoid({ sub, session, version }: Pick<AccessClaims, "sub" | "session" | "version">): boolean {
		if (this.#sessions.has(session)) return true;
		return (
			this.#users.get(sub)?.some(({ below, except }) => version < below && session !== except) ??
			false
		);
	}

	/** Reads all pages until `deadline`, also from an auth service that responds slowly. */
	async #load(deadline: number): Promise<void> {
		do {
			try {
				if (!(await this.#poll())) return;
			} catch (error) {
				this.#onError(error);
				if (!isWorthRetrying(error)) return;
			}
		} while (performance.now() < deadline);
	}

	/** Reads one page. Returns whether there is more to read. */
	async #poll(): Promise<boolean> {
		const page = await this.#broker.call<Page, object>(REVOCATIONS, this.#next ?? {}, {
			timeout: TIMEOUT_MS,
		});
		const { revocations, cursor, more = revocations.length === REVOCATIONS_PAGE_SIZE } = page;
		const until = performance.now() + LIFETIME;
		for (const revocation of revocations) this.#add(revocation, until);
		// A node of an older version sends no cursor: the whole list is read each time.
		if (cursor !== undefined) this.#next = { cursor };
		else this.#next = more ? { since: revocations.at(-1)!.at } : undefined;
		this.#known ||= !more;
		if (this.#failing) this.#logger.info("Revoked access tokens can be loaded again");
		this.#failing = false;
		this.#removeExpired();
		return more;
	}

	#add({ user_id, below, except, session_id }: Revocation, until: number): void {
		if (session_id !== null) {
			// A map keeps the order of insertion: expired entries are at the front.
			if (!this.#sessions.has(session_id)) this.#sessions.set(session_id, until);
		} else if (user_id !== null && below !== null) {
			const known = this.#users.get(user_id) ?? [];
			if (!known.some((other) => other.below === below))
				this.#users.set(user_id, [...known, { below, except, until }]);
		}
	}

	#removeExpired(): void {
		const now = performance.now();
		for (const [id, until] of this.#sessions) {
			if (until > now) break;
			this.#sessions.delete(id);
		}
		for (const [id, all] of this.#users) {
			const left = all.filter(({ until }) => until > now);
			if (left.length === 0) this.#users.delete(id);
			else if (left.length < all.length) this.#users.set(id, left);
		}
	}

	#onError(error: unknown): void {
		if (!this.#failing)
			this.#logger.warn(
				"Revoked access tokens cannot be loaded; " +
					"newly revoked tokens are accepted until they expire",
				{
					error,
				},
			);
		this.#failing = true;
	}
}
