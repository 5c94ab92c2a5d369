import type { Context } from "moleculer";
import { type Address, formatAddress } from "../../../lib/addresses/address.ts";
import { formatAmount } from "../../../lib/money/format-amount.ts";
import { escapeHtml } from "../../../lib/text/html.ts";
import { clientAddress } from "../http/client-address.ts";
import type { Gateway, Handler, HttpResponse, Request } from "../http/exchange.ts";
import { queryOf } from "../http/parameters.ts";
import { problemResponse, toProblem } from "../http/problem-details.ts";
import { alertOf, handler, htmlPage, INCOMPLETE_LINK, TOKEN } from "./html.ts";

/** Members of the response of `GET /orders/:id` that the page shows. */
interface Order {
	readonly id: string;
	readonly status: string;
	readonly currency: string;
	readonly total_amount: number;
	readonly items: readonly {
		readonly name: string;
		readonly quantity: number;
		readonly line_total: number;
	}[];
	readonly subtotal?: number;
	readonly discount_amount?: number;
	readonly shipping_amount?: number;
	readonly tax_amount?: number;
	readonly prices_include_tax?: boolean;
	readonly shipping_address?: string | Address | null;
	readonly billing_address?: Address | null;
	readonly coupon_codes?: readonly string[];
}

const TITLE = "Your order";
const ID = /^[0-9a-f-]{36}$/i;

/** The page that the link in a mail to a guest leads to. It only reads. */
export const orderPage: Readonly<Record<string, Handler>> = { "GET /order": handler(show) };

async function show(gateway: Gateway, req: Request): Promise<HttpResponse> {
	const [id, token] = [queryOf(req).get("id") ?? "", queryOf(req).get("token") ?? ""];
	if (!ID.test(id) || !TOKEN.test(token)) return htmlPage(400, TITLE, alertOf(INCOMPLETE_LINK));
	const address = clientAddress(req, gateway.proxies);
	let action: string | undefined;
	try {
		gateway.rateLimits.assertMayGuess(address);
		action = gateway.table.find("GET", `/api/orders/${id}`).target.action;
		Object.assign(req.$ctx.meta, { user: null, token, address });
		const order = await (req.$ctx as unknown as Context).call<Order, object>(action!, { id });
		return htmlPage(200, TITLE, contentOf(order));
	} catch (error) {
		const problem = toProblem(error, action);
		req.failure = { error, code: problem.code };
		if (problem.status === 404) await gateway.rateLimits.countGuess(address);
		const { status, headers } = problemResponse(problem, req.id);
		return htmlPage(status, TITLE, alertOf(messageOf(problem)), headers);
	}
}

const messageOf = ({ status, detail }: { status: number; detail: string }): string =>
	status === 429 || status >= 500
		? `${detail}. Please try again in a moment.`
		: "This link is not valid. If your account contains the order, sign in to see it.";

function contentOf(order: Order): string {
	const { id, status, items, coupon_codes = [], shipping_address, billing_address } = order;
	const linesOf = (address: string | Address) =>
		typeof address === "string" ? [address] : formatAddress(address);
	return [
		[`Order ${id}`, `Status: ${status}`],
		items.map(
			({ name, quantity, line_total }) =>
				`${quantity} × ${name}: ${formatAmount(line_total, order.currency)}`,
		),
		amountsOf(order),
		coupon_codes.length > 0 ? [`Coupons: ${coupon_codes.join(", ")}`] : [],
		shipping_address ? ["Delivery address:", ...linesOf(shipping_address)] : [],
		billing_address ? ["Billing address:", ...linesOf(billing_address)] : [],
	]
		.filter((lines) => lines.length > 0)
		.map((lines) => `<p>${lines.map(escapeHtml).join("<br>\n")}</p>`)
		.join("\n");
}

/** Amounts that are not zero, and the total. */
function amountsOf(order: Order): string[] {
	const { subtotal = 0, discount_amount = 0, shipping_amount = 0, tax_amount = 0 } = order;
	const rows: [string, number][] = [
		["Discount", -discount_amount],
		["Shipping", shipping_amount],
		[order.prices_include_tax ? "Included tax" : "Tax", tax_amount],
	];
	const parts = rows.filter(([, amount]) => amount !== 0);
	return [
		...(parts.length > 0 ? ([["Subtotal", subtotal], ...parts] as typeof rows) : []),
		["Total", order.total_amount] as const,
	].map(([name, amount]) => `${name}: ${formatAmount(amount, order.currency)}`);
}
