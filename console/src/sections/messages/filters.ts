/** Kinds and statuses by which the list can be filtered, with their labels. */
export const TEMPLATES = {
	welcome: "Welcome",
	verify_email: "Verify e-mail address",
	password_reset: "Password reset",
	email_change: "Change of e-mail address",
	email_change_notice: "Notice of a changed e-mail address",
	order_confirmed: "Order confirmed",
	order_shipped: "Order shipped",
	order_delivered: "Order delivered",
	order_cancelled: "Order cancelled",
	late_payment_refunded: "Late payment refunded",
} as const;
export const STATUSES = {
	queued: "Queued",
	sent: "Sent",
	kept: "Kept (no mail server)",
	failed: "Failed",
} as const;
type Template = keyof typeof TEMPLATES;
type Status = keyof typeof STATUSES;

/** Longest search that the service accepts. */
const MAX_SEARCH = 100;

/** Parameters of `notifications.list` by the valid query parameters of the page. */
export function filtersOf(query: URLSearchParams): {
	q?: string;
	status?: Status;
	template?: Template;
} {
	const [q, status, template] = [
		query.get("q")?.trim(),
		query.get("status"),
		query.get("template"),
	];
	return {
		...(q ? { q: q.slice(0, MAX_SEARCH) } : {}),
		...(status && Object.hasOwn(STATUSES, status) ? { status: status as Status } : {}),
		...(template && Object.hasOwn(TEMPLATES, template) ? { template: template as Template } : {}),
	};
}

/** Time at which an ID was created (RFC 9562, version 7), in RFC 3339. */
export const timeOfId = (id: string): string =>
	new Date(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toISOString();
