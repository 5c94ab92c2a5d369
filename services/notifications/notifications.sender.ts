import type { Logger } from "moleculer";
import { createTransport } from "nodemailer";
import { type Poller, startPoller } from "../../lib/async/poller.ts";
import { runInTracesOf } from "../../lib/context/traceparent.ts";
import { type Call, isError } from "../../lib/contracts/contract.ts";
import type { Tracer } from "../../lib/observability/tracing/tracing.ts";
import {
	anySampled,
	type SpanDescription,
	traceBatch,
} from "../../lib/observability/tracing/work.ts";
import { type Database, sql } from "../../lib/persistence/database.ts";
import type { Env } from "../../lib/settings/env.ts";
import type {} from "../users/users.contract.ts";
import { beyondQuota } from "./notifications.quotas.ts";
import {
	type Content,
	goesElsewhere,
	isRefusal,
	lacksLink,
	linkOf,
	mailedLink,
	messageId,
	nameIn,
	preparationWait,
} from "./notifications.rules.ts";
import { render } from "./notifications.templates.ts";

type Due = Content & {
	readonly id: string;
	readonly user_id: string;
	readonly event_id: string;
	readonly attempts: number;
	readonly created_at: string;
	readonly traceparent: string | null;
	/** Whether it was counted against its recipient's quota. */
	readonly counted: boolean;
};
interface Person {
	readonly email: string;
	readonly full_name: string;
	readonly is_verified: boolean;
}
/** How a message fared. `queued`: it comes again after `wait` seconds. */
interface Fate {
	readonly status: "sent" | "kept" | "failed" | "queued";
	/** 1 where a mail server was tried. */
	readonly tries: 0 | 1;
	readonly wait?: number;
	readonly error?: string;
}

/** How many messages are under way at once, each on a connection of its own. */
const LANES = 5;
/** Longer than this no delivery may take; well within the two minutes for which taking a message over hides it from other nodes. */
const PATIENCE = 60_000;
/** How long a stop lets deliveries finish; what it cuts off is sent again. */
const GRACE = 5000;
const POLL = 1000;

// Without a name, so that it is planned each time: a plan made while the table was small would go on reading the whole of it.
const CLAIM = `update messages set next_at = now() + interval '2 minutes' where id in (
		select id from messages where status = 'queued' and next_at <= now() order by next_at limit ${LANES} for update skip locked)
	returning id, user_id, event_id, template, data, attempts, created_at, traceparent, counted`;
const KEEP_LINK = sql(
	"messages_link",
	"update messages set data = data || $2::jsonb where id = $1",
);
const SETTLE = sql(
	"messages_settle",
	`update messages m set status = f.status, attempts = m.attempts + f.tries, last_error = f.error, next_at = now() + make_interval(secs => f.wait),
		sent_at = case when f.status = 'sent' then now() end, data = case when f.status in ('sent', 'failed') then m.data - '{link,to,taken}'::text[] else m.data end
	from unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::text[]) as f(id, status, tries, wait, error)
	where m.id = f.id and m.status = 'queued'`,
);

/** Who is written to, and what, is not shown. */
const MAIL: SpanDescription<Due> = {
	kind: "client",
	name: () => "mail",
	attributes: ({ id, event_id, template }) => ({
		"mail.id": id,
		"mail.template": template,
		"messaging.message.id": event_id,
	}),
};

export interface SenderOptions {
	readonly db: Database;
	readonly call: Call;
	readonly env: Env;
	readonly logger: Logger;
	readonly tracer?: Tracer | undefined;
	/** Whether the process is stopping, and others have gone already. */
	closing(): boolean;
}

/**
 * Sends what is due, or keeps it where no mail server is configured. A message goes out at least once: a node that dies between the mail
 * server's yes and the note of it leaves a message that is sent again, under the same Message-ID.
 */
export function startSender({ db, call, env, logger, tracer, closing }: SenderOptions): Poller {
	const { SMTP_URL, MAIL_FROM, PUBLIC_URL = `http://localhost:${env.PORT}` } = env;
	const backoff = env.EVENT_BACKOFF.split(",").map(Number);
	const transport = SMTP_URL ? pool(SMTP_URL) : undefined;
	const cutOff = new AbortController();

	/** The link is stored before it is first sent, so that each repetition carries the same one. */
	async function withLink(message: Due, email?: string): Promise<Due> {
		if (!lacksLink(message)) return message;
		const { page } = linkOf(message.template)!;
		const { token, ...recipient } = await issueToken(message, email);
		const data = {
			...recipient,
			...(token === null ? { taken: true } : { link: mailedLink(PUBLIC_URL, page, token) }),
		};
		await db.query(KEEP_LINK, [message.id, JSON.stringify(data)]);
		return { ...message, data: { ...message.data, ...data } } as Due;
	}
	async function issueToken(
		message: Due,
		email?: string,
	): Promise<{ token: string | null; to?: string }> {
		const { user_id } = message;
		if (goesElsewhere(message)) {
			const { action } = linkOf(message.template) as {
				action: "users.issueEmailChange" | "users.issueEmailChangeUndo";
			};
			const issued = await call(action, { user_id, change_id: message.data.change_id });
			return { token: issued.token, to: issued.email };
		}
		const { action } = linkOf(message.template) as {
			action: "users.issueVerification" | "users.issuePasswordReset";
		};
		return call(action, { user_id, ...(email ? { email } : {}) });
	}

	/**
	 * The message with its link and address, or its fate if it is not to be sent. Counts first: a
	 * new link would revoke the one that was mailed.
	 */
	async function prepare(
		due: Due,
		person: Person | null,
	): Promise<{ message: Due; to: string } | Fate> {
		const message = goesElsewhere(due) ? await withLink(due) : due;
		const to = goesElsewhere(message) ? message.data.to : person?.email;
		if (!transport) {
			await withLink(message);
			return { status: "kept", tries: 0 };
		}
		if (!to) return { status: "failed", tries: 0, error: "There is no such user" };
		const beyond = await beyondQuota(db, message, to);
		if (beyond === "drop")
			return { status: "failed", tries: 0, error: "The recipient got too many mails of this kind" };
		if (beyond !== undefined)
			return {
				status: "queued",
				tries: 0,
				wait: beyond,
				error: "The recipient got too many mails of this kind",
			};
		return { message: await withLink(message, to), to };
	}

	async function deliver(due: Due, person: Person | null): Promise<Fate> {
		let prepared: { message: Due; to: string } | Fate;
		try {
			prepared = await prepare(due, person);
		} catch (error) {
			const gone = isError(error, "USER_NOT_FOUND") || isError(error, "EMAIL_CHANGE_NOT_FOUND");
			return gone ? { status: "failed", tries: 0, error: text(error) } : postponed(due, error);
		}
		if (!transport || "status" in prepared) return prepared as Fate;
		try {
			const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE), cutOff.signal]);
			await transport.sendMail({
				...compose(prepared.message, prepared.to, nameIn(due, person), MAIL_FROM),
				signal,
			});
			return { status: "sent", tries: 1 };
		} catch (error) {
			const wait = isRefusal(error) ? undefined : backoff[due.attempts];
			const { code, responseCode } = error as { code?: string; responseCode?: number };
			// The server's own words may hold the address; they stay in the row.
			logger.warn(wait === undefined ? "A mail failed" : "A mail failed and will be sent again", {
				id: due.id,
				code,
				responseCode,
			});
			return {
				status: wait === undefined ? "failed" : "queued",
				wait,
				tries: 1,
				error: text(error),
			};
		}
	}

	/** In the trace of what the message tells about. */
	function showing(message: Due, send: () => Promise<Fate>): Promise<Fate> {
		if (!tracer || !anySampled([message])) return runInTracesOf([message], send);
		return traceBatch(tracer, [message], MAIL, async (_, [span]) => {
			const fate = await send();
			span?.set({ "mail.fate": fate.status, "mail.tries": message.attempts + fate.tries });
			return fate;
		});
	}

	/** Nothing was tried, so it does not count: the users service may be away for longer than a mail server is tried. */
	function postponed({ created_at }: Due, error: unknown): Fate {
		if (!closing()) logger.warn("A mail could not be prepared and will be later", { error });
		return {
			status: "queued",
			tries: 0,
			wait: preparationWait(
				(Date.now() - Date.parse(created_at)) / 1000,
				backoff[0] ?? 1,
				Math.random(),
			),
			error: text(error),
		};
	}

	async function poll(): Promise<boolean> {
		const due = await db.query<Due>(CLAIM);
		if (due.length === 0) return false;
		const fates = await resolve(due)
			.then((people) =>
				Promise.all(
					due.map((message, i) => showing(message, () => deliver(message, people[i] ?? null))),
				),
			)
			.catch((error) => due.map((message) => postponed(message, error)));
		await db.query(SETTLE, [
			due.map(({ id }) => id),
			fates.map(({ status }) => status),
			fates.map(({ tries }) => tries),
			fates.map(({ wait }) => wait ?? 0),
			fates.map(({ error }) => error ?? null),
		]);
		return due.length === LANES;
	}
	const resolve = async (due: readonly Due[]) =>
		transport ? call("users.resolve", { ids: due.map(({ user_id }) => user_id) }) : [];

	const sending = startPoller({
		intervalMs: POLL,
		poll,
		onError: (error) => logger.warn("Mails that are due could not be read", { error }),
	});
	return {
		wake: sending.wake,
		async stop() {
			const late = setTimeout(() => cutOff.abort(), GRACE);
			await sending.stop();
			clearTimeout(late);
			transport?.close();
		},
	};
}

const text = (error: unknown) =>
	(error instanceof Error ? error.message : String(error)).replaceAll("\0", "").slice(0, 1000);

/** Repeats nothing by itself: that is what the queue is for. */
const pool = (url: string) =>
	createTransport({
		url,
		pool: true,
		maxConnections: LANES,
		maxRequeues: 0,
		disableFileAccess: true,
		disableUrlAccess: true,
	});

function compose(message: Due, address: string, name: string | undefined, from: string) {
	return {
		...render(message.template, message.data, name),
		from,
		to: name === undefined ? address : { name, address },
		date: new Date(message.created_at),
		messageId: messageId(message.event_id, message.template, from),
		// Nobody's holiday note should answer (RFC 3834).
		headers: { "Auto-Submitted": "auto-generated" },
	};
}
