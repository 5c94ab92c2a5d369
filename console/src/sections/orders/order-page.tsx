import type { ComponentChild } from "preact";
import { reads } from "../../api.ts";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Address, Link, Money, StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { useOrderEvents } from "./live.ts";
import type { Order } from "./order.ts";
import { OrderActions } from "./order-actions.tsx";
import { Payments } from "./payments.tsx";
import { Shipment, Timeline } from "./timeline.tsx";

/** Pause between two polls: refunds, messages and retries have no event of the order. */
const POLL_MS = 5000;

/** An order with its payments, shipment, customer and live timeline, and its actions. */
export function OrderPage({ id }: { id: string }) {
	const poll = { poll: POLL_MS };
	const order = useData((signal) => reads.orders.get({ id }, { signal }), [id], poll);
	const timeline = useData((signal) => reads.orders.timeline({ id }, { signal }), [id], poll);
	const payments = useData(
		(signal) => reads.payments.list({ order_id: id }, { signal }),
		[id],
		poll,
	);
	const reload = () => {
		for (const resource of [order, timeline, payments]) resource.reload();
	};
	const live = useOrderEvents(id, reload);
	return (
		<Page
			title={`Order ${id}`}
			actions={order.data && <OrderActions order={order.data} onChange={reload} />}
		>
			<Loaded of={order}>
				{(found) => (
					<div class="grid">
						<Summary order={found} />
						<Customer order={found} />
						<Items order={found} />
						<Panel title="Payments">
							<Loaded of={payments}>{(rows) => <Payments payments={rows} />}</Loaded>
						</Panel>
						<Panel title="Shipment">
							<Facts
								rows={{
									Method: found.shipping_method?.name,
									Address: found.shipping_address && <Address of={found.shipping_address} />,
								}}
							/>
							<Loaded of={timeline}>{({ entries }) => <Shipment entries={entries} />}</Loaded>
						</Panel>
						<Panel title="Timeline" full>
							<Loaded of={timeline}>
								{(history) => <Timeline timeline={history} live={live} />}
							</Loaded>
						</Panel>
					</div>
				)}
			</Loaded>
		</Page>
	);
}

function Summary({ order }: { order: Order }) {
	const { status, payment, cancellation_reason, created_at, updated_at, coupon_codes } = order;
	return (
		<Panel title="Summary">
			<Facts
				rows={{
					Status: <StatusBadge status={status} />,
					"Waits for payment": payment && <StatusBadge status={payment.status} />,
					"Cancellation reason": cancellation_reason,
					Placed: <Time at={created_at} />,
					Changed: <Time at={updated_at} />,
					Coupons: coupon_codes.join(", "),
				}}
			/>
		</Panel>
	);
}

function Customer({ order }: { order: Order }) {
	const { user_id, email, billing_address } = order;
	const user = order.user as { email?: string; full_name?: string } | null;
	return (
		<Panel title="Customer">
			<Facts
				rows={{
					Account: user_id ? (
						<Link to={`/customers/${user_id}`}>{user?.full_name ?? "Open the account"}</Link>
					) : (
						"Guest"
					),
					"E-mail address": email ?? user?.email,
					"Billing address": billing_address && <Address of={billing_address} />,
				}}
			/>
		</Panel>
	);
}

/** One row per promotion. Only the sum is known of orders from before promotions. */
function discountRows(
	{ adjustments, discount_amount }: Order,
	money: (amount: number) => ComponentChild,
): Record<string, ComponentChild> {
	if (adjustments.length === 0)
		return discount_amount > 0 ? { Discount: money(-discount_amount) } : {};
	return Object.fromEntries(
		adjustments.map(({ promotion_id, name, code, amount }) => [
			`Discount: ${code ? `${name} (${code})` : name}`,
			<Link key={promotion_id} to={`/promotions/${promotion_id}`}>
				{money(-amount)}
			</Link>,
		]),
	);
}

function Items({ order }: { order: Order }) {
	const { currency, refunds } = order;
	const money = (amount: number) => <Money amount={amount} currency={currency} />;
	const columns: readonly Column<Order["items"][number]>[] = [
		{
			title: "Product",
			cell: ({ name, product_id }) => <Link to={`/products/${product_id}`}>{name}</Link>,
		},
		{ title: "Price", align: "end", cell: ({ unit_price }) => money(unit_price) },
		{ title: "Quantity", align: "end", cell: ({ quantity }) => quantity },
		{ title: "Discount", align: "end", wide: true, cell: ({ discount }) => money(discount) },
		{ title: "Tax", align: "end", wide: true, cell: ({ tax }) => money(tax) },
		{ title: "Total", align: "end", cell: ({ total }) => money(total) },
	];
	return (
		<Panel title="Items" full>
			<Table label="Items" rows={order.items} columns={columns} keyOf={(item) => item.product_id} />
			<Facts
				rows={{
					Subtotal: money(order.subtotal),
					...discountRows(order, money),
					Shipping: money(order.shipping_amount),
					[order.prices_include_tax ? "Included tax" : "Tax"]: money(order.tax_amount),
					Total: <strong>{money(order.total_amount)}</strong>,
					...Object.fromEntries(
						refunds.map(({ id, amount, status, reason }, i) => [
							`Refund ${i + 1}`,
							<span key={id}>
								{money(-amount)} <StatusBadge status={status} /> {reason}
							</span>,
						]),
					),
				}}
			/>
		</Panel>
	);
}
