import { type Command, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { table } from "./output.ts";

const EXAMPLE_ID = "019a0000-0000-7000-8000-000000000002";
const RESULTS = ["succeed", "fail", "dispute", "reverse_dispute"] as const;

/** Commands about payments and refunds. */
export const paymentCommands: Readonly<Record<string, Command>> = {
	"refunds failed": defineCommand({
		summary: "List failed refunds whose buyer has not received the money otherwise",
		examples: ["refunds failed"],
		async run({ call }) {
			const refunds = await call("payments.failedRefunds", {});
			return table(
				refunds,
				["PAYMENT", "ORDER", "AMOUNT", "FAILED", "REASON"],
				({ payment_id, order_id, amount, currency, failed_at, failure_reason }) => [
					payment_id,
					order_id,
					`${amount} ${currency}`,
					failed_at,
					failure_reason ?? "",
				],
				"No refund has failed",
			);
		},
	}),
	"payments simulate": defineCommand({
		summary: "Decide an open payment of the simulated provider: succeed, fail, dispute …",
		arguments: ["ORDER_ID", "RESULT"],
		examples: [`payments simulate ${EXAMPLE_ID} succeed`],
		async run({ call }, _options, [order_id, word]) {
			const result = RESULTS.find((one) => one === word);
			if (!result) throw new UsageError(`RESULT must be one of ${RESULTS.join(", ")}`);
			const value = await call("payments.simulate", { order_id: order_id!, result });
			return { value, text: value.decided ? "Decided" : "There is nothing to decide" };
		},
	}),
};
