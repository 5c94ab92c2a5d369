import type { Logger } from "moleculer";
import { type Poller, startPoller } from "../../lib/async/poller.ts";
import { runInTracesOf } from "../../lib/context/traceparent.ts";
import { type Call, isError } from "../../lib/contracts/contract.ts";
import {
	anySampled,
	type SpanDescription,
	traceBatch,
} from "../../lib/observability/tracing/traced-work.ts";
import type { Tracer } from "../../lib/observability/tracing/tracing.ts";
import type { Database } from "../../lib/persistence/database.ts";
import type { Env } from "../../lib/settings/env.ts";
import type {} from "../users/users.contract.ts";
import { createLinks } from "./notifications.links.ts";
import { composeMail, openTransport } from "./notifications.mail.ts";
import {
	detailsOf,
	guestLinkOf,
	type Order,
	orderIdOf,
	readOrders,
} from "./notifications.orders.ts";
import { applyQuota } from "./notifications.quotas.ts";
import {
	guestOf,
	isAddressChange,
	isPermanentRejection,
	isServerFailure,
	needsOrderAddress,
	postponementDelay,
	recipientName,
} from "./notifications.rules.ts";
import {
	CLAIM,
	type DueMessage,
	MAX_CONCURRENT_SENDS,
	NEXT_DUE,
	SETTLE,
} from "./notifications.statements.ts";

/** The message's user, as the users service returns it. */
interface User {
	readonly id: string;
	readonly email: string;
	readonly full_name: string;
	readonly is_verified: boolean;
}
/** Result of an attempt. A `queued` message is due again after `wait` seconds. */
interface Result {
	readonly status: "sent" | "kept" | "failed" | "queued";
	/** 1 if the message was handed to a mail server. */
	readonly tries: 0 | 1;
	readonly wait?: number;
	readonly error?: string;
}
type Prepared = { readonly message: DueMessage; readonly to: string };

/** Time limit of a delivery; well below the two minutes for which a claim lasts. */
const DELIVERY_TIMEOUT_MS = 60_000;
/** Time that deliveries in flight have to finish at a stop; aborted ones are sent again later. */
const STOP_GRACE_MS = 5000;
const POLL_INTERVAL_MS = 1000;
/** Delay of messages that a node has queued and not sent: new messages wake their node's poller. */
const IDLE_MS = 5000;
/**
 * Time for which a message waits for the details of its order. It is then sent with the data of its
 * event only, unless the order contains its address.
 */
const MAX_DETAILS_WAIT_MS = 10 * 60_000;
const OVER_QUOTA = "The recipient received too many messages of this kind";

/** The span shows neither the recipient nor the content. */
const SPAN: SpanDescription<DueMessage> = {
	kind: "client",
	name: () => "mail",
	attributes: ({ id, event_id, template }) => ({
		"mail.id": id,
		"mail.template": template,
		"messaging.message.id": event_id,
	}),
};

interface SenderOptions {
	readonly db: Database;
	readonly call: Call;
	readonly env: Env;
	readonly logger: Logger;
	readonly tracer?: Tracer | undefined;
	/** Whether the process is stopping; other services may be unavailable by then. */
	isStopping(): boolean;
}

/**
 * Polls for due messages and sends them. Without a mail server it only adds their links and marks
 * them as `kept`.
 *
 * A message is sent at least once: if a node dies between the mail server's acceptance and the
 * record of it, the message is sent again with the same Message-ID.
 */
export function startSender({ db, call, env, logger, tracer, isStopping }: SenderOptions): Poller {
	const { SMTP_URL, MAIL_FROM, PUBLIC_URL = `http://localhost:${env.PORT}` } = env;
	const backoff = env.EVENT_BACKOFF.split(",").map(Number);
	const transport = SMTP_URL ? openTransport(SMTP_URL) : undefined;
	const addLink = createLinks({ db, call, publicUrl: PUBLIC_URL });
	const stopDeliveries = new AbortController();

	async function poll(): Promise<boolean | number> {
		const due = await db.query<DueMessage>(CLAIM);
		if (due.length === 0) {
			const [next] = await db.query<{ wait: number | null }>(NEXT_DUE);
			return next?.wait ?? Number.POSITIVE_INFINITY;
		}
		const results = await Promise.all([loadUsers(due), loadOrders(due)])
			.then(([users, orders]) =>
				Promise.all(
					due.map((message, i) =>
						trace(message, () => processMessage(message, users[i] ?? null, orders[i] ?? null)),
					),
				),
			)
			.catch((error) => due.map((message) => postpone(message, error)));
		await db.query(SETTLE, [
			due.map(({ id }) => id),
			results.map(({ status }) => status),
			results.map(({ tries }) => tries),
			results.map(({ wait }) => wait ?? 0),
			results.map(({ error }) => error ?? null),
			due.map(({ resends }) => resends),
		]);
		return due.length === MAX_CONCURRENT_SENDS;
	}

	/** Users of messages; null for a guest. */
	async function loadUsers(due: readonly DueMessage[]): Promise<(User | null)[]> {
		const ids = due.flatMap(({ user_id }) => user_id ?? []);
		if (!transport || ids.length === 0) return [];
		const users = (await call("users.resolve", { ids })).values();
		return due.map(({ user_id }) => (user_id === null ? null : (users.next().value ?? null)));
	}

	/** Orders of messages; null for a message without one, an error if they could not be read. */
	async function loadOrders(due: readonly DueMessage[]): Promise<(Order | null | Error)[]> {
		if (!transport) return due.map(() => null);
		return readOrders(call, due).catch((error: Error) =>
			due.map((message) => (orderIdOf(message) === undefined ? null : error)),
		);
	}

	async function processMessage(
		due: DueMessage,
		user: User | null,
		order: Order | null | Error,
	): Promise<Result> {
		const isOutage = order instanceof Error;
		const age = Date.now() - Date.parse(due.created_at);
		if (isOutage && (age < MAX_DETAILS_WAIT_MS || needsOrderAddress(due)))
			return postpone(due, order);
		let prepared: Prepared | Result;
		try {
			prepared = await prepare(due, user, isOutage ? null : order);
		} catch (error) {
			const isGone = isError(error, "USER_NOT_FOUND") || isError(error, "EMAIL_CHANGE_NOT_FOUND");
			return isGone ? failed(messageOf(error)) : postpone(due, error);
		}
		return "status" in prepared ? prepared : send(prepared, recipientName(due, user));
	}

	/**
	 * Returns the message with its link and address, or the result if it is not sent now. The quota
	 * comes before the link, because a new link revokes the one that was mailed before.
	 */
	async function prepare(
		due: DueMessage,
		user: User | null,
		order: Order | null,
	): Promise<Prepared | Result> {
		const message = isAddressChange(due) ? await addLink(due) : addOrder(due, user, order);
		const to = isAddressChange(message) ? message.data.to : (user?.email ?? guestOf(message.data));
		if (!transport) {
			await addLink(message);
			return { status: "kept", tries: 0 };
		}
		if (!to) return failed("The recipient does not exist");
		const decision = await applyQuota(db, message, to);
		if (decision === "drop") return failed(OVER_QUOTA);
		if (decision !== "send")
			return { status: "queued", tries: 0, wait: decision, error: OVER_QUOTA };
		return { message: await addLink(message, to), to };
	}

	/** Adds the details of the order, and the link of a guest. They are not stored. */
	function addOrder(due: DueMessage, user: User | null, order: Order | null): DueMessage {
		const verified = recipientName(due, user) !== undefined;
		const details = order ? detailsOf(order, verified) : undefined;
		const guest = due.user_id === null && order?.email ? { to: order.email } : {};
		const link = guestLinkOf(due, env);
		const data = { ...guest, ...due.data, details, ...(link ? { link } : {}) };
		return { ...due, data } as DueMessage;
	}

	async function send({ message, to }: Prepared, name: string | undefined): Promise<Result> {
		try {
			const timeout = AbortSignal.timeout(DELIVERY_TIMEOUT_MS);
			const signal = AbortSignal.any([timeout, stopDeliveries.signal]);
			await transport!.sendMail({ ...composeMail(message, to, name, MAIL_FROM), signal });
			return { status: "sent", tries: 1 };
		} catch (error) {
			const result = failedDelivery(message, error);
			const { code, command, responseCode } = error as {
				code?: string;
				command?: string;
				responseCode?: number;
			};
			// The server's message can contain the address, so it is stored but not logged.
			logger.warn(result.status === "failed" ? "E-mail failed" : "E-mail failed; will retry", {
				id: message.id,
				code,
				command,
				responseCode,
			});
			return result;
		}
	}

	/** Only failures of the message itself are attempts. */
	function failedDelivery(message: DueMessage, error: unknown): Result {
		if (stopDeliveries.signal.aborted)
			return { status: "queued", tries: 0, wait: 0, error: messageOf(error) };
		if (isServerFailure(error)) return postponed(message, error);
		const wait = isPermanentRejection(error) ? undefined : backoff[message.attempts];
		const status = wait === undefined ? "failed" : "queued";
		return { status, wait, tries: 1, error: messageOf(error) };
	}

	function postpone(message: DueMessage, error: unknown): Result {
		if (!isStopping()) logger.warn("E-mail could not be prepared; will retry", { error });
		return postponed(message, error);
	}

	/**
	 * The result of a message that could not be prepared or did not reach the mail server. This does
	 * not count as an attempt: a service or server may be unavailable for longer than all attempts
	 * take.
	 */
	function postponed({ created_at }: DueMessage, error: unknown): Result {
		const age = (Date.now() - Date.parse(created_at)) / 1000;
		const wait = postponementDelay(age, backoff[0] ?? 1, Math.random());
		return { status: "queued", tries: 0, wait, error: messageOf(error) };
	}

	/** Processes a message in the trace of its event. */
	function trace(message: DueMessage, work: () => Promise<Result>): Promise<Result> {
		if (!tracer || !anySampled([message])) return runInTracesOf([message], work);
		return traceBatch(tracer, [message], SPAN, async (_, [span]) => {
			const result = await work();
			span?.set({ "mail.status": result.status, "mail.attempts": message.attempts + result.tries });
			return result;
		});
	}

	const poller = startPoller({
		intervalMs: POLL_INTERVAL_MS,
		idleMs: IDLE_MS,
		poll,
		onError: (error) => logger.warn("Due messages could not be processed; will retry", { error }),
	});
	return {
		wake: poller.wake,
		async stop() {
			const timer = setTimeout(() => stopDeliveries.abort(), STOP_GRACE_MS);
			await poller.stop();
			clearTimeout(timer);
			transport?.close();
		},
	};
}

const failed = (error: string): Result => ({ status: "failed", tries: 0, error });

/** Postgres rejects NUL characters in text. */
const messageOf = (error: unknown) =>
	(error instanceof Error ? error.message : String(error)).replaceAll("\0", "").slice(0, 1000);
