import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { Facts } from "../../components/page.tsx";
import { Empty } from "../../components/states.tsx";
import { Money, StatusBadge, Time } from "../../components/values.tsx";

/** Payments of an order with their refunds. */
export function Payments({ payments }: { payments: ResultOf<"payments.list"> }) {
	if (payments.length === 0) return <Empty>No payment yet.</Empty>;
	return (
		<>
			{payments.map(({ id, status, amount, currency, refunds, ...payment }) => (
				<Facts
					key={id}
					rows={{
						Status: <StatusBadge status={status} />,
						Amount: <Money amount={amount} currency={currency} />,
						Refunded: <Money amount={payment.refunded_amount} currency={currency} />,
						"Declined because": payment.decline_code,
						Captured: payment.captured_at && <Time at={payment.captured_at} />,
						Expires: payment.expires_at && <Time at={payment.expires_at} />,
						...Object.fromEntries(
							refunds.map((refund, i) => [
								`Refund ${i + 1}`,
								<span key={refund.id}>
									<Money amount={refund.amount} currency={currency} />{" "}
									<StatusBadge status={stateOf(refund)} /> {refund.failure_reason}
								</span>,
							]),
						),
					}}
				/>
			))}
		</>
	);
}

const stateOf = ({
	settled_at,
	failed_at,
}: {
	settled_at: string | null;
	failed_at: string | null;
}) => (failed_at ? "failed" : settled_at ? "done" : "requested");
