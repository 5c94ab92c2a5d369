import { list, object, page, paging, shape } from "../../lib/contracts/schema.ts";
import { stuckOrder, violation } from "./orders.contract.internal.ts";
import { count, id, order } from "./orders.contract.shapes.ts";

/** Most periods in one result of `statistics`, and most findings that an audit keeps. */
export const MAX_PERIODS = 1500;
export const MAX_FINDINGS = 1000;

export const statistic = shape({
	time: { type: "time", description: "Start of the minute, hour or day in UTC" },
	currency: { type: "string" },
	placed: { ...count, description: "Orders placed in this period" },
	confirmed: {
		...count,
		description: "Those that are confirmed, shipped or delivered now",
	},
	cancelled: { ...count, description: "Those that are cancelled now" },
	revenue: {
		type: "number",
		description:
			"Sum of the confirmed, shipped and delivered orders in major units, before refunds",
	},
});

export const audit = shape({
	...id,
	status: { type: "enum", values: ["running", "completed", "failed"] },
	since: {
		type: "time",
		nullable: true,
		description: "Only orders placed at or after this time; null for all orders",
	},
	total: { ...count, nullable: true, description: "Orders to check; null until they are counted" },
	checked: count,
	skipped: { ...count, description: "Orders with an open saga or a recent change" },
	violation_count: count,
	started_at: { type: "time" },
	finished_at: { type: "time", nullable: true },
	requested_by: { type: "uuid", description: "ID of the administrator" },
	failure: { type: "string", nullable: true, description: "Why a failed audit ended" },
});
const auditWithViolations = shape({
	...audit,
	violations: list(object(violation), { description: `The first ${MAX_FINDINGS}` }),
});

/** Routes for administrators beside those of the life cycle of one order. */
export const adminActions = {
	statistics: {
		summary:
			"Count orders and sum revenue by minute, hour or day and currency; " +
			`at most ${MAX_PERIODS} periods`,
		rest: "GET /orders/statistics",
		auth: "admin",
		params: {
			from: { type: "time", description: "Rounded down to the start of its period" },
			to: {
				type: "time",
				optional: true,
				description: "Exclusive, rounded up to the end of its period. By default now",
			},
			interval: { type: "enum", values: ["minute", "hour", "day"], default: "hour" },
		},
		returns: list(object(statistic), {
			description: "By time and currency; without periods in which no order was placed",
		}),
		timeout: 30_000,
		retry: true,
	},
	/** `stuck` with a route. */
	listStuck: {
		summary: "List orders whose compensation failed repeatedly, oldest first",
		rest: "GET /orders/stuck",
		auth: "admin",
		params: { limit: paging.limit },
		returns: object({
			count: { ...count, description: "Number of all stuck orders" },
			rows: list(object(stuckOrder)),
		}),
		retry: true,
	},
	/** `retry` with a route. */
	retryStuck: {
		summary: "Retry the compensation of a stuck order",
		rest: "POST /orders/:id/retry",
		repeatable: "an order is stuck until it is retried",
		auth: "admin",
		params: id,
		returns: object(order),
		throws: ["ORDER_NOT_FOUND", "ILLEGAL_TRANSITION"],
	},
	startAudit: {
		summary: "Start an audit, which compares the records of all services; one runs at a time",
		rest: "POST /orders/audits",
		repeatable: "one audit runs at a time",
		auth: "admin",
		status: 202,
		params: {
			since: {
				type: "time",
				optional: true,
				description: "Only orders placed at or after this time. By default all orders",
			},
		},
		returns: object(audit),
		throws: ["AUDIT_RUNNING"],
	},
	listAudits: {
		summary: "List the audits of the last 90 days, newest first",
		rest: "GET /orders/audits",
		auth: "admin",
		page: true,
		params: paging,
		returns: page(audit),
	},
	getAudit: {
		summary: "Retrieve an audit with its violations",
		rest: "GET /orders/audits/:id",
		auth: "admin",
		params: id,
		returns: object(auditWithViolations),
		throws: ["AUDIT_NOT_FOUND"],
		retry: true,
	},
} as const;
