import { setTimeout as pause } from "node:timers/promises";
import type { Call } from "../../../lib/contracts/contract.ts";
import { invalidField } from "../../../lib/contracts/errors.ts";
import { type Database, sql } from "../../../lib/persistence/database.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../notifications/notifications.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import { ITEMS } from "../orders.statements.ts";
import { type AuditedOrder, judgeOrder, judgeStock, type Look, type Violation } from "./rules.ts";

/** Orders and products in one page; the most that a neighbour tells of at once. */
const PAGE = 500;
const MOST = 1000;
const FIRST = "00000000-0000-0000-0000-000000000000";
const LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Seconds, about 30 years. Postgres' intervals do not hold every number of seconds. */
const LONGEST_QUIET = 1e9;
/** A call looks at pages for so long and then answers where it stopped. */
const BUDGET_MS = 3000;

const IDS = sql(
	"audit_ids",
	"select id, saga_attempt as attempt, status from orders where id > $1 order by id limit $2",
);
const COUNT = sql("audit_count", "select count(*) as total from orders where id > $1");
const ORDERS = sql(
	"audit_orders",
	`select o.id, o.user_id, o.status, o.total_amount, o.saga_state, o.saga_attempt as attempt,
		o.updated_at > now() - make_interval(secs => $2) as young,
		${ITEMS},
		case when o.created_at > now() - make_interval(secs => $3 * 3600.0 - 3600) then coalesce((select json_agg(json_build_object('id', id, 'type', type))
			from outbox where subject = o.id::text), '[]') end as events
	from orders o where o.id = any($1::uuid[])`,
);

interface Row extends AuditedOrder {
	readonly attempt: number;
	readonly young: boolean;
}
export interface AuditOptions {
	readonly db: Database;
	readonly call: Call;
	/** How long events are kept. */
	readonly retentionHours: number;
}
export interface Audit {
	checked: number;
	/** Left out, because somebody is or was just now at work on them. */
	skipped: number;
	violations: Violation[];
	/** Where to go on; null at the end. */
	next: string | null;
}
export interface AuditRequest {
	/** `next` of the page before. */
	readonly after?: string;
	/** Only orders placed since then. */
	readonly since?: string;
	/** Seconds for which an order was left in peace, so that its events have had the time to arrive. */
	readonly quiet: number;
	/** Milliseconds until a suspect is looked at again. */
	readonly recheck: number;
}

/**
 * Compares what the services know, first product by product and then order by order. No two databases are read at one moment, so an
 * order counts only if it did not change while the others were read, and a violation only if it is still there at a second look.
 */
export function createAudit({ db, call, retentionHours }: AuditOptions) {
	async function stockPage(after: string): Promise<Audit> {
		const books = await call("inventory.auditStock", { after, limit: PAGE });
		const last = books.length === PAGE ? books.at(-1)!.product_id : null;
		return { checked: 0, skipped: 0, violations: books.flatMap(judgeStock), next: last };
	}

	/** All that is known of the orders behind `after`, whether they exist or only the neighbours think so. */
	async function look(after: string, quiet: number) {
		const before = await db.query<Pick<Row, "id" | "attempt" | "status">>(IDS, [after, PAGE]);
		const range = { after, upto: before.length === PAGE ? before.at(-1)!.id : null, limit: MOST };
		const [reservations, payments, charges, shipments] = await Promise.all([
			call("inventory.auditReservations", range),
			call("payments.auditPayments", range),
			call("payments.auditCharges", range),
			call("shipping.auditShipments", range),
		]);
		const neighbours = {
			reservation: new Map(reservations.map((one) => [one.order_id, one])),
			payment: new Map(payments.map((one) => [one.order_id, one])),
			charge: new Map(charges.map((one) => [one.key, one])),
			shipment: new Map(shipments.map((one) => [one.order_id, one])),
		};
		// A neighbour that has more to tell ends the page earlier.
		const ends = Object.values(neighbours).flatMap((known) =>
			known.size >= MOST ? [...known.keys()].filter((id) => UUID.test(id)).slice(-1) : [],
		);
		const end = [range.upto ?? LAST, ...ends].sort()[0]!;
		const all = new Set([
			...before.map(({ id }) => id),
			...Object.values(neighbours).flatMap((known) => [...known.keys()]),
		]);
		const ids = [...all].filter((id) => id <= end);
		const real = ids.filter((id) => UUID.test(id));
		// Read after the neighbours: an order is there before any of them hears of it.
		const [rows, messages] = await Promise.all([
			db.query<Row>(ORDERS, [real, Math.min(quiet, LONGEST_QUIET), retentionHours]),
			mapAsync(chunks(real, MOST), (order_ids) =>
				call("notifications.auditMessages", { order_ids }),
			),
		]);
		const orders = new Map(rows.map((row) => [row.id, row]));
		const mail = Map.groupBy(messages.flat(), ({ order_id }) => order_id);
		const versions = new Map(before.map((row) => [row.id, version(row)]));
		const looks = ids.map((id): { id: string; busy: boolean; version: string; look: Look } => {
			const order = orders.get(id);
			const open = order?.saga_state === "forward" || order?.saga_state === "backward";
			return {
				id,
				busy: order !== undefined && (open || order.young || version(order) !== versions.get(id)),
				version: order ? version(order) : "",
				look: {
					order,
					reservation: neighbours.reservation.get(id),
					payment: neighbours.payment.get(id),
					charge: neighbours.charge.get(id),
					shipment: neighbours.shipment.get(id),
					messages: mail.get(id) ?? [],
				},
			};
		});
		return { looks, next: end === LAST ? null : end };
	}

	async function orderPage(after: string, { quiet, recheck }: AuditRequest): Promise<Audit> {
		const { looks, next } = await look(after, quiet);
		const judged = looks
			.filter(({ busy }) => !busy)
			.map(({ id, version, look }) => ({ id, version, found: judgeOrder(id, look) }));
		const suspects = new Map(
			judged.filter(({ found }) => found.length > 0).map((one) => [one.id, one]),
		);
		const result: Audit = {
			checked: judged.length,
			skipped: looks.length - judged.length,
			violations: [],
			next,
		};
		if (suspects.size === 0) return result;
		await pause(recheck);
		for (const { id, busy, version, look: again } of (await look(after, quiet)).looks) {
			const suspect = suspects.get(id);
			if (!suspect || busy || version !== suspect.version) continue;
			const still = new Set(judgeOrder(id, again).map(({ invariant }) => invariant));
			result.violations.push(...suspect.found.filter(({ invariant }) => still.has(invariant)));
		}
		return result;
	}

	return {
		/** Looks at some pages, from `after` on. `total` is how many orders there are to look at, told at the beginning. */
		async audit(wish: AuditRequest): Promise<Audit & { total: number | null }> {
			const first = wish.since ? idOfTime(wish.since) : FIRST;
			let [part, after] = (wish.after ?? `stock:${FIRST}`).split(":") as [string, string];
			if (!UUID.test(after))
				throw invalidField(
					"after",
					"UUID",
					"The 'after' field must be the 'next' of an earlier call.",
				);
			const total = wish.after
				? null
				: (await db.query<{ total: number }>(COUNT, [first]))[0]!.total;
			const sum = {
				total,
				checked: 0,
				skipped: 0,
				violations: [] as Violation[],
				next: null as string | null,
			};
			for (const late = Date.now() + BUDGET_MS; ; ) {
				const page = part === "stock" ? await stockPage(after) : await orderPage(after, wish);
				sum.checked += page.checked;
				sum.skipped += page.skipped;
				sum.violations.push(...page.violations);
				if (page.next) after = page.next;
				else if (part === "stock") [part, after] = ["orders", first];
				else return sum;
				sum.next = `${part}:${after}`;
				if (Date.now() > late) return sum;
				sum.next = null;
			}
		},
	};
}
export type OrderAudit = ReturnType<typeof createAudit>;

const version = ({ attempt, status }: Pick<Row, "attempt" | "status">) => `${attempt} ${status}`;

/** The smallest UUID version 7 of that moment, or of 1970 (RFC 9562, 5.7): its first 48 bits are milliseconds since then. */
function idOfTime(time: string): string {
	const hex = Math.max(0, Date.parse(time)).toString(16).padStart(12, "0");
	return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

const chunks = <T>(all: readonly T[], size: number): T[][] =>
	Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
		all.slice(i * size, (i + 1) * size),
	);
const mapAsync = <T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> =>
	Promise.all(all.map(work));
