import { useState } from "preact/hooks";
import { idempotencyKeys, shop } from "../../api.ts";
import { Dialog } from "../../components/dialog.tsx";
import { CheckboxField, Form, TextField } from "../../components/form.tsx";
import { toast } from "../../components/toast.tsx";
import { formatMoney } from "../../format.ts";
import type { Order } from "./order.ts";
import {
	canRefundShipping,
	halfOf,
	nothingOf,
	type Pieces,
	remainingPieces,
} from "./refund.rules.ts";

interface RefundDialogProps {
	readonly order: Order;
	onClose(): void;
	onDone(): void;
}
/** Refunds pieces of an order, and shipping. */
export function RefundDialog({ order, onClose, onDone }: RefundDialogProps) {
	const { id, currency } = order;
	const [remaining] = useState(() => remainingPieces(order));
	const [{ pieces, choice }, setPreset] = useState({ pieces: nothingOf(remaining), choice: 0 });
	const choose = (pieces: Pieces) => setPreset({ pieces, choice: choice + 1 });
	const [keyOf] = useState(idempotencyKeys);
	const submit = async (values: FormData) => {
		const reason = String(values.get("reason")).trim();
		const params = {
			id,
			items: Object.keys(remaining)
				.map((product_id) => ({ product_id, quantity: Number(values.get(product_id)) }))
				.filter(({ quantity }) => quantity > 0),
			...(values.has("shipping") ? { shipping: true } : {}),
			...(reason ? { reason } : {}),
		};
		const { refunds } = await shop.orders.refund(params, { idempotencyKey: keyOf(params) });
		toast(`${formatMoney(refunds.at(-1)!.amount, currency)} is refunded.`);
		onDone();
	};
	return (
		<Dialog title="Refund" onClose={onClose}>
			<p>Choose the pieces. Their share of discount and tax is refunded with them.</p>
			<div class="actions">
				<button type="button" onClick={() => choose(halfOf(remaining))}>
					Half of the order
				</button>
				<button type="button" onClick={() => choose(remaining)}>
					Everything
				</button>
			</div>
			<Form action="Refund" danger submit={submit} onCancel={onClose}>
				{/* A preset replaces the inputs, which may have been edited since the last one. */}
				<fieldset key={choice}>
					<legend>Pieces</legend>
					{order.items.map(({ product_id, name }) => (
						<TextField
							key={product_id}
							label={name}
							name={product_id}
							type="number"
							min={0}
							max={remaining[product_id] ?? 0}
							value={pieces[product_id] ?? 0}
							hint={`${remaining[product_id]} can be refunded`}
							required
						/>
					))}
				</fieldset>
				{canRefundShipping(order) && <CheckboxField label="Also refund shipping" name="shipping" />}
				<TextField label="Reason" name="reason" />
			</Form>
		</Dialog>
	);
}
