import { useState } from "preact/hooks";
import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { idempotencyKeys, reads, shop } from "../../api.ts";
import { Dialog, DialogButton } from "../../components/dialog.tsx";
import { Form, TextField } from "../../components/form.tsx";
import { toast } from "../../components/toast.tsx";
import { Badge } from "../../components/values.tsx";
import { type Resource, useData } from "../../data.ts";
import { numberOf, textOf } from "../../form-values.ts";
import { formatNumber } from "../../format.ts";

export type Stock = ResultOf<"inventory.list">[number];

/** Orders and events of new products change the stock. */
const POLL_MS = 5000;

/** Stock of products by ID, at most 100. A product without a stock record is missing. */
export function useStock(
	products: readonly { readonly id: string }[],
): Resource<ReadonlyMap<string, Stock>> {
	const product_ids = products.map(({ id }) => id).join(",");
	return useData(
		async (signal) => {
			const rows = product_ids ? await reads.inventory.list({ product_ids }, { signal }) : [];
			return new Map(rows.map((row) => [row.product_id, row]));
		},
		[product_ids],
		{ poll: product_ids ? POLL_MS : undefined },
	);
}

/** Quantity that can be ordered; nothing while the stock is unknown. */
export function Available({ stock }: { stock: Stock | undefined }) {
	if (!stock) return null;
	if (stock.available <= 0) return <Badge tone="bad">sold out</Badge>;
	return <>{formatNumber(stock.available)}</>;
}

interface StockActionsProps {
	/** Name of the product. */
	readonly name: string;
	readonly stock: Stock;
	onChange(): void;
}
/** Buttons that change the stock of a product. */
export function StockActions({ name, stock, onChange }: StockActionsProps) {
	const dialogOf = (Dialog: typeof AdjustDialog) => (close: () => void) => {
		const done = (after: Stock) => {
			toast(`${name}: ${formatNumber(after.on_hand)} on hand.`);
			close();
			onChange();
		};
		return <Dialog {...{ name, stock, close, done }} />;
	};
	const subject = `stock of ${name}`;
	return (
		<div class="actions">
			<DialogButton label="Adjust …" subject={subject}>
				{dialogOf(AdjustDialog)}
			</DialogButton>
			<DialogButton label="Set …" subject={subject}>
				{dialogOf(SetDialog)}
			</DialogButton>
		</div>
	);
}

interface StockDialogProps {
	readonly name: string;
	readonly stock: Stock;
	close(): void;
	done(after: Stock): void;
}
/** Adds a difference, which also takes concurrent orders and deliveries into account. */
function AdjustDialog({ name, stock: { product_id, on_hand }, close, done }: StockDialogProps) {
	const [keyOf] = useState(idempotencyKeys);
	const submit = async (values: FormData) => {
		const params = {
			product_id,
			delta: numberOf(values, "delta") ?? 0,
			reason: textOf(values, "reason"),
		};
		done(await shop.inventory.adjust(params, { idempotencyKey: keyOf(params) }));
	};
	return (
		<Dialog title={`Adjust the stock of ${name}`} onClose={close}>
			<p>{formatNumber(on_hand)} on hand.</p>
			<Form action="Adjust" submit={submit} onCancel={close}>
				<TextField
					label="Difference"
					name="delta"
					type="number"
					hint="12 adds pieces, -3 removes pieces"
					required
				/>
				<TextField label="Reason" name="reason" hint="Such as: delivery, damaged" required />
			</Form>
		</Dialog>
	);
}

/** Sets the result of a count. */
function SetDialog({ name, stock, close, done }: StockDialogProps) {
	const { product_id, on_hand, reserved } = stock;
	const submit = async (values: FormData) =>
		done(await shop.inventory.set({ product_id, on_hand: numberOf(values, "on_hand") ?? 0 }));
	return (
		<Dialog title={`Set the stock of ${name}`} onClose={close}>
			<Form action="Set" submit={submit} onCancel={close}>
				<TextField
					label="On hand"
					name="on_hand"
					type="number"
					min={0}
					value={on_hand}
					hint={`Including ${formatNumber(reserved)} reserved pieces`}
					required
				/>
			</Form>
		</Dialog>
	);
}
