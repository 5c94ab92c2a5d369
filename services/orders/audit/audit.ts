import { setTimeout as pause } from "node:timers/promises";
import type { Call } from "../../../lib/contracts/contract.ts";
import { invalidField } from "../../../lib/contracts/errors.ts";
import { type Database, sql } from "../../../lib/persistence/database.ts";
import { firstIdAt, isUuid } from "../../../lib/persistence/id.ts";
import { isOutage } from "../../../lib/resilience/outages.ts";
import type {} from "../../inventory/inventory.contract.ts";
import type {} from "../../notifications/notifications.contract.ts";
import type {} from "../../payments/payments.contract.ts";
import type {} from "../../promotions/promotions.contract.ts";
import type {} from "../../shipping/shipping.contract.ts";
import { ITEMS } from "../orders.statements.ts";
import type { AuditedOrder, OrderRecords, Violation } from "./records.ts";
import { checkOrder, checkStock } from "./rules.ts";

/** Orders or products per page, and the maximum number of records per result of another service. */
const PAGE = 500;
const MAX_RECORDS = 1000;
const FIRST = "00000000-0000-0000-0000-000000000000";
const LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff";
/** About 30 years, in seconds. Larger numbers exceed Postgres' intervals. */
const MAX_QUIET = 1e9;
const BUDGET_MS = 3000;

const IDS = sql(
	"audit_ids",
	"select id, saga_attempt as attempt, status from orders where id > $1 order by id limit $2",
);
const COUNT = sql("audit_count", "select count(*) as total from orders where id > $1");
/** `$2` is the quiet time in seconds, `$3` the retention of events in hours. */
const ORDERS = sql(
	"audit_orders",
	`select o.id, o.user_id, o.email, o.status, o.total_amount, o.currency, o.priced, o.saga_state,
		o.saga_attempt as attempt,
		o.updated_at > now() - make_interval(secs => $2) or (o.has_refunds and exists (
			select from refunds r where r.order_id = o.id
				and r.created_at > now() - make_interval(secs => $2))) as young,
		case when o.has_refunds then coalesce(
			(select sum(amount) from refunds r where r.order_id = o.id and r.status = 'done'), 0)
			else 0 end as refunded,
		${ITEMS},
		case when o.created_at > now() - make_interval(secs => $3 * 3600.0 - 3600) then coalesce(
			(select json_agg(json_build_object('id', id, 'type', type))
				from outbox where subject = o.id::text),
			'[]') end as events
	from orders o where o.id = any($1::uuid[])`,
);

interface Row extends AuditedOrder {
	readonly attempt: number;
	readonly young: boolean;
}
interface AuditOptions {
	readonly db: Database;
	readonly call: Call;
	/** Retention of published events. */
	readonly retentionHours: number;
}
interface AuditPage {
	checked: number;
	/** Orders with an open saga or a recent change. */
	skipped: number;
	violations: Violation[];
	/** Position of the next page; null after the last one. */
	next: string | null;
}
interface AuditRequest {
	/** `next` of the previous call. */
	readonly after?: string;
	/** Only orders placed at or after this time. */
	readonly since?: string;
	/**
	 * Skip orders that changed within this number of seconds: their events may still be in flight.
	 */
	readonly quiet: number;
	/** Milliseconds after which a suspected violation is checked again. */
	readonly recheck: number;
	/** Duration in milliseconds after which the call starts no further page. */
	readonly budgetMs?: number;
}

/**
 * Compares the records of all services, first by product and then by order. The databases cannot be
 * read at the same moment. Therefore an order counts only if it did not change while the other
 * services were read, and a violation only if a second check finds it as well.
 */
export function createAudit({ db, call, retentionHours }: AuditOptions) {
	async function stockPage(after: string): Promise<AuditPage> {
		const stock = await call("inventory.auditStock", { after, limit: PAGE });
		const last = stock.length === PAGE ? stock.at(-1)!.product_id : null;
		return { checked: 0, skipped: 0, violations: stock.flatMap(checkStock), next: last };
	}

	/**
	 * Reads all services' records of the orders after `after`, including those that have no order.
	 */
	async function readRecords(after: string, quiet: number) {
		const before = await db.query<Pick<Row, "id" | "attempt" | "status">>(IDS, [after, PAGE]);
		const range = {
			after,
			upto: before.length === PAGE ? before.at(-1)!.id : null,
			limit: MAX_RECORDS,
		};
		const [reservations, payments, charges, shipments, redemptions] = await Promise.all([
			call("inventory.auditReservations", range),
			call("payments.auditPayments", range),
			call("payments.auditCharges", range),
			call("shipping.auditShipments", range),
			call("promotions.auditRedemptions", range).catch(outage),
		]);
		const others = {
			reservation: new Map(reservations.map((record) => [record.order_id, record])),
			payment: new Map(payments.map((record) => [record.order_id, record])),
			charge: new Map(charges.map((record) => [record.key, record])),
			shipment: new Map(shipments.map((record) => [record.order_id, record])),
			redemption: new Map(
				(redemptions instanceof Error ? [] : redemptions).map((record) => [
					record.order_id,
					record,
				]),
			),
		};
		// A full result of a service may be incomplete, so the page ends at its last record.
		const ends = Object.values(others).flatMap((byId) =>
			byId.size >= MAX_RECORDS ? [...byId.keys()].filter(isUuid).slice(-1) : [],
		);
		const end = [range.upto ?? LAST, ...ends].sort()[0]!;
		const allIds = new Set([
			...before.map(({ id }) => id),
			...Object.values(others).flatMap((byId) => [...byId.keys()]),
		]);
		// The last page also contains payments that the provider does not know by an order ID.
		const ids = [...allIds].filter((id) => end === LAST || id <= end);
		const uuids = ids.filter(isUuid);
		// Read after the other services, so that orders written meanwhile are found. Only a reservation
		// can precede its order, and `checkOrphan` accepts it until it expires.
		const [rows, messages] = await Promise.all([
			db.query<Row>(ORDERS, [uuids, Math.min(quiet, MAX_QUIET), retentionHours]),
			mapAsync(chunks(uuids, MAX_RECORDS), (order_ids) =>
				call("notifications.auditMessages", { order_ids }),
			),
		]);
		// Without promotions, only orders that use none can be checked.
		if (redemptions instanceof Error && rows.some(usesPromotions)) throw redemptions;
		const orders = new Map(rows.map((row) => [row.id, row]));
		const mail = Map.groupBy(messages.flat(), ({ order_id }) => order_id);
		const versions = new Map(before.map((row) => [row.id, version(row)]));
		const candidates = ids.map(
			(id): { id: string; busy: boolean; version: string; records: OrderRecords } => {
				const order = orders.get(id);
				const open = order?.saga_state === "forward" || order?.saga_state === "backward";
				return {
					id,
					busy: order !== undefined && (open || order.young || version(order) !== versions.get(id)),
					version: order ? version(order) : "",
					records: {
						order,
						reservation: others.reservation.get(id),
						payment: others.payment.get(id),
						charge: others.charge.get(id),
						shipment: others.shipment.get(id),
						redemption: others.redemption.get(id),
						messages: mail.get(id) ?? [],
					},
				};
			},
		);
		return { candidates, next: end === LAST ? null : end };
	}

	async function orderPage(after: string, { quiet, recheck }: AuditRequest): Promise<AuditPage> {
		const { candidates, next } = await readRecords(after, quiet);
		const checked = candidates
			.filter(({ busy }) => !busy)
			.map(({ id, version, records }) => ({ id, version, found: checkOrder(id, records) }));
		const suspects = new Map(
			checked.filter(({ found }) => found.length > 0).map((suspect) => [suspect.id, suspect]),
		);
		const result: AuditPage = {
			checked: checked.length,
			skipped: candidates.length - checked.length,
			violations: [],
			next,
		};
		if (suspects.size === 0) return result;
		await pause(recheck);
		const second = await readRecords(after, quiet);
		for (const { id, busy, version, records } of second.candidates) {
			const suspect = suspects.get(id);
			if (!suspect || busy || version !== suspect.version) continue;
			const still = new Set(checkOrder(id, records).map(({ invariant }) => invariant));
			result.violations.push(...suspect.found.filter(({ invariant }) => still.has(invariant)));
		}
		return result;
	}

	return {
		/**
		 * Checks pages for a few seconds. `total`, the number of orders, is only in the first result.
		 */
		async audit(request: AuditRequest): Promise<AuditPage & { total: number | null }> {
			const first = request.since ? firstIdAt(new Date(request.since)) : FIRST;
			let [part, after] = (request.after ?? `stock:${FIRST}`).split(":") as [string, string];
			if (!isUuid(after))
				throw invalidField(
					"after",
					"UUID",
					"The 'after' field must be the 'next' of an earlier call.",
				);
			const total = request.after
				? null
				: (await db.query<{ total: number }>(COUNT, [first]))[0]!.total;
			const sum = {
				total,
				checked: 0,
				skipped: 0,
				violations: [] as Violation[],
				next: null as string | null,
			};
			for (const deadline = Date.now() + (request.budgetMs ?? BUDGET_MS); ; ) {
				const page = part === "stock" ? await stockPage(after) : await orderPage(after, request);
				sum.checked += page.checked;
				sum.skipped += page.skipped;
				sum.violations.push(...page.violations);
				if (page.next) after = page.next;
				else if (part === "stock") [part, after] = ["orders", first];
				else return sum;
				sum.next = `${part}:${after}`;
				if (Date.now() > deadline) return sum;
				sum.next = null;
			}
		},
	};
}

const usesPromotions = ({ priced }: Row): boolean => (priced?.adjustments.length ?? 0) > 0;
/** Returns the error of a call without a response, and throws others. */
function outage(error: Error): Error {
	if (isOutage(error)) return error;
	throw error;
}

const version = ({ attempt, status }: Pick<Row, "attempt" | "status">) => `${attempt} ${status}`;

const chunks = <T>(all: readonly T[], size: number): T[][] =>
	Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
		all.slice(i * size, (i + 1) * size),
	);
const mapAsync = <T, R>(all: readonly T[], work: (element: T) => Promise<R>): Promise<R[]> =>
	Promise.all(all.map(work));
