import { walkAudit } from "../audit/walk.ts";
import { type Command, defineCommand } from "./command.ts";
import { columns, table } from "./output.ts";

const EXAMPLE_ID = "019a0000-0000-7000-8000-000000000002";

/** Commands about orders and their sagas. */
export const orderCommands: Readonly<Record<string, Command>> = {
	"saga ls": defineCommand({
		summary: "List stuck orders, whose compensation failed repeatedly",
		examples: ["saga ls"],
		async run({ call }) {
			const { count, rows } = await call("orders.stuck", { limit: 100 });
			const { text } = table(
				rows,
				["ORDER", "STATUS", "PLACED", "REASON"],
				({ id, status, created_at, reason }) => [id, status, created_at, reason ?? ""],
				"No order is stuck",
			);
			const more = count > rows.length ? `\n… and ${count - rows.length} more` : "";
			return { value: { count, rows }, text: text + more };
		},
	}),
	"saga retry": defineCommand({
		summary: "Compensate a stuck order again",
		arguments: ["ID"],
		examples: [`saga retry ${EXAMPLE_ID}`],
		async run({ call }, _options, [id]) {
			const order = await call("orders.retry", { id: id! });
			return { value: order, text: `${order.id} is ${order.status}; its saga is running again` };
		},
	}),
	audit: defineCommand({
		summary: "Compare the records of all services",
		options: ["since"],
		examples: ["audit", "audit --since 2026-01-31T12:00:00Z"],
		async run({ call }, { since }) {
			const report = await walkAudit(call, since ? { since } : {});
			const { checked, skipped, stuck, violations } = report;
			const found = violations.map(({ invariant, subject, detail }) => [
				invariant,
				subject,
				detail,
			]);
			const conclusion = found.length === 0 ? "no violations" : `${found.length} violations`;
			const counts = `${checked} orders checked, ${skipped} in progress, ${stuck} stuck`;
			return {
				value: report,
				text: [...(found.length > 0 ? [columns(found)] : []), `${counts}: ${conclusion}`].join(
					"\n",
				),
			};
		},
	}),
	"orders trace": defineCommand({
		summary: "Show the timeline of an order: events, saga steps and messages",
		arguments: ["ID"],
		examples: [`orders trace ${EXAMPLE_ID}`],
		async run({ call }, _options, [id]) {
			const timeline = await call("orders.timeline", { id: id! });
			const { status, attempts, entries, incomplete } = timeline;
			const rows = entries.map(({ time, source, kind, name, detail }) => [
				time,
				source,
				kind,
				name,
				detail ? JSON.stringify(detail) : "",
			]);
			const missing =
				incomplete.length > 0 ? [`Unavailable services: ${incomplete.join(", ")}`] : [];
			const head = `${id} is ${status} after ${attempts} saga attempts`;
			return { value: timeline, text: [head, columns(rows), ...missing].join("\n") };
		},
	}),
};
