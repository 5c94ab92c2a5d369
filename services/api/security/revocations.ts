import type { Logger, ServiceBroker } from "moleculer";
import { type Poller, startPoller } from "../../../lib/async/poller.ts";
import { withTimeout } from "../../../lib/async/with-timeout.ts";
import { ACCESS_TOKEN_SECONDS, type AccessClaims } from "../../../lib/security/access-token.ts";
import {
	REVOCATIONS,
	REVOCATIONS_PAGE_SIZE,
	type Revocation,
} from "../../../lib/security/revocations.ts";

const EVERY = 1000;
/** How long one look may take. */
const PATIENCE = 1000;
/** Milliseconds until a revoked token has expired in any case, with a margin for clocks that differ. */
const LIFETIME = (ACCESS_TOKEN_SECONDS + 120) * 1000;

interface Void {
	readonly below: number;
	readonly except: string | null;
	/** By `performance.now()`, which no correction of the system clock moves. */
	readonly until: number;
}
interface Answer {
	readonly revocations: readonly Revocation[];
	readonly cursor?: string;
	readonly more?: boolean;
}

/**
 * The access tokens that are void although they have not expired, as this gateway knows them: pulled every second, sooner after a hint. Who cannot
 * be asked is asked again; what is known stays. See docs/adr/0006.
 */
export class Revocations {
	readonly #sessions = new Map<string, number>();
	readonly #users = new Map<string, Void[]>();
	readonly #broker: ServiceBroker;
	readonly #logger: Logger;
	/** Continues the list; the whole list is read where it is undefined. */
	#next: { readonly cursor: string } | { readonly since: string } | undefined;
	#known = false;
	#late = false;
	#loop: Poller | undefined;

	constructor(broker: ServiceBroker, logger: Logger) {
		this.#broker = broker;
		this.#logger = logger;
	}

	/** Whether the whole list was read once. Before that, no token can be accepted. */
	get known(): boolean {
		return this.#known;
	}

	/** Waits, but not for long, until the list is there, and keeps it up to date from then on. */
	async start(): Promise<void> {
		const first = this.#look().catch((error) => this.#onError(error));
		await withTimeout(first, PATIENCE);
		this.#loop = startPoller({
			intervalMs: EVERY,
			poll: () => this.#look(),
			onError: (error) => this.#onError(error),
		});
	}
	wake(): void {
		this.#loop?.wake();
	}
	async stop(): Promise<void> {
		await this.#loop?.stop();
	}

	isVoid({ sub, session, version }: Pick<AccessClaims, "sub" | "session" | "version">): boolean {
		if (this.#sessions.has(session)) return true;
		return (
			this.#users.get(sub)?.some(({ below, except }) => version < below && session !== except) ??
			false
		);
	}

	/** Reads one page. Returns whether there is more to read. */
	async #look(): Promise<boolean> {
		const page = await this.#broker.call<Answer, object>(REVOCATIONS, this.#next ?? {}, {
			timeout: PATIENCE,
		});
		const { revocations, cursor, more = revocations.length === REVOCATIONS_PAGE_SIZE } = page;
		const until = performance.now() + LIFETIME;
		for (const revocation of revocations) this.#add(revocation, until);
		// A node of an older version has no cursor: the whole list is read each time.
		if (cursor !== undefined) this.#next = { cursor };
		else this.#next = more ? { since: revocations.at(-1)!.at } : undefined;
		this.#known ||= !more;
		if (this.#late) this.#logger.info("Revoked access tokens are known again");
		this.#late = false;
		this.#forget();
		return more;
	}

	#add({ user_id, below, except, session_id }: Revocation, until: number): void {
		if (session_id !== null) {
			// A map keeps the order of insertion: those to forget are in front.
			if (!this.#sessions.has(session_id)) this.#sessions.set(session_id, until);
		} else if (user_id !== null && below !== null) {
			const known = this.#users.get(user_id) ?? [];
			if (!known.some((other) => other.below === below))
				this.#users.set(user_id, [...known, { below, except, until }]);
		}
	}

	#forget(): void {
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
		if (!this.#late)
			this.#logger.warn(
				"Revoked access tokens cannot be asked for; tokens that are revoked now may be believed until they expire",
				{
					error,
				},
			);
		this.#late = true;
	}
}
