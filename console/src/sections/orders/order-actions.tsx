import { reads, shop } from "../../api.ts";
import { ActionButton } from "../../components/action-button.tsx";
import { Dialog, DialogButton } from "../../components/dialog.tsx";
import { Form, TextField } from "../../components/form.tsx";
import { toast } from "../../components/toast.tsx";
import { useData } from "../../data.ts";
import type { Order } from "./order.ts";
import { canRefund } from "./refund.rules.ts";
import { RefundDialog } from "./refund-dialog.tsx";

interface OrderActionsProps {
	readonly order: Order;
	onChange(): void;
}
/** Buttons for the actions that the status of an order allows. */
export function OrderActions({ order, onChange }: OrderActionsProps) {
	const { id, status } = order;
	const settle = (close: () => void) => () => {
		close();
		onChange();
	};
	const canBeCancelled = status === "pending" || status === "confirmed";
	const isPaid = status !== "pending" && status !== "cancelled";
	return (
		<>
			{status === "confirmed" && (
				<ActionButton
					act={() => shop.orders.ship({ id })}
					done="The order is shipped."
					onSettled={onChange}
				>
					Ship
				</ActionButton>
			)}
			{status === "shipped" && (
				<ActionButton
					act={() => shop.orders.deliver({ id })}
					done="The order is delivered."
					onSettled={onChange}
				>
					Mark as delivered
				</ActionButton>
			)}
			{canBeCancelled && <RetryStuck id={id} onSettled={onChange} />}
			{isPaid && canRefund(order) && (
				<DialogButton label="Refund …">
					{(close) => <RefundDialog order={order} onClose={close} onDone={settle(close)} />}
				</DialogButton>
			)}
			{canBeCancelled && (
				<DialogButton label="Cancel order …" danger>
					{(close) => <CancelDialog id={id} onClose={close} onDone={settle(close)} />}
				</DialogButton>
			)}
		</>
	);
}

interface CancelDialogProps {
	readonly id: string;
	onClose(): void;
	onDone(): void;
}
function CancelDialog({ id, onClose, onDone }: CancelDialogProps) {
	const submit = async (values: FormData) => {
		const reason = String(values.get("reason")).trim();
		await shop.orders.cancel({ id, ...(reason ? { reason } : {}) });
		toast("The order is cancelled.");
		onDone();
	};
	return (
		<Dialog title="Cancel the order?" onClose={onClose}>
			<p>The payment is refunded and the stock is released. This cannot be undone.</p>
			<Form
				action="Cancel the order"
				cancel="Keep the order"
				danger
				submit={submit}
				onCancel={onClose}
			>
				<TextField label="Reason" name="reason" hint="The customer can read it." />
			</Form>
		</Dialog>
	);
}

/** Shown while the order is stuck: its compensation has failed repeatedly. */
function RetryStuck({ id, onSettled }: { id: string; onSettled(): void }) {
	const { data } = useData((signal) => reads.orders.listStuck({ limit: 100 }, { signal }), [id], {
		poll: 10_000,
	});
	if (!data?.rows.some((row) => row.id === id)) return null;
	return (
		<ActionButton
			act={() => shop.orders.retryStuck({ id })}
			done="The compensation is retried."
			onSettled={onSettled}
		>
			Retry compensation
		</ActionButton>
	);
}
