import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./databases.ts";

/** Replacement in a file. The original text must occur exactly once. */
type Edit = readonly [file: string, from: string, to: string];

/**
 * The next version adds gift wrapping: a parameter, fields of two events and columns, as
 * docs/upgrading.md allows. It stores `none` if a call or event of the old version has no wrapping.
 */
const EDITS: readonly Edit[] = [
	[
		"services/orders/saga/steps.ts",
		"shipping_address: saga.shipping_address,",
		`shipping_address: saga.shipping_address, wrapping: "gift", ribbon: { color: "red" },`,
	],
	[
		"services/orders/orders.contract.ts",
		`"order.confirmed": orderEvent`,
		`"order.confirmed": { ...orderEvent, wrapping: { type: "string", optional: true } }`,
	],
	[
		"services/orders/saga/store.ts",
		`events.eventData("order.confirmed", eventDataOf(saga))`,
		`events.eventData("order.confirmed", { ...eventDataOf(saga), wrapping: "gift" })`,
	],

	[
		"services/shipping/shipping.contract.ts",
		`shipping_address: { type: "string", max: 2000, nullable: true },`,
		`shipping_address: { type: "string", max: 2000, nullable: true },
			wrapping: { type: "string", max: 50, optional: true },
			ribbon: { type: "object", props: { color: { type: "string" } }, optional: true },`,
	],
	[
		"services/shipping/shipping.statements.ts",
		"$6::json[], $7::text[])",
		"$6::json[], $7::text[], $8::text[])",
	],
	[
		"services/shipping/shipping.statements.ts",
		"tracking_number, event, traceparent)),",
		"tracking_number, event, traceparent, wrapping)),",
	],
	[
		"services/shipping/shipping.statements.ts",
		"shipping_address, status, tracking_number)",
		"shipping_address, status, tracking_number, wrapping)",
	],
	[
		"services/shipping/shipping.statements.ts",
		"address, 'scheduled', tracking_number from wanted",
		"address, 'scheduled', tracking_number, wrapping from wanted",
	],
	[
		"services/shipping/shipping.service.ts",
		"traceparentsOf(shipments),",
		`traceparentsOf(shipments), shipments.map(({ wrapping }) => wrapping ?? "none"),`,
	],
	[
		"services/shipping/shipping.contract.ts",
		`"shipment.scheduled": {`,
		`"shipment.scheduled": { wrapping: { type: "string", optional: true },`,
	],
	[
		"services/shipping/shipping.service.ts",
		`this.eventData("shipment.scheduled", { order_id,`,
		`this.eventData("shipment.scheduled", { ...(wrapping ? { wrapping } : {}), order_id,`,
	],
	[
		"services/shipping/shipping.service.ts",
		"shipments.map(({ order_id, shipment_id, tracking_number })",
		"shipments.map(({ order_id, shipment_id, tracking_number, wrapping })",
	],

	[
		"services/notifications/notifications.statements.ts",
		"subject, data, status, traceparent)\n\tselect",
		"subject, data, status, traceparent, wrapping)\n\tselect",
	],
	[
		"services/notifications/notifications.statements.ts",
		"subject, data, status, traceparent\n\tfrom",
		"subject, data, status, traceparent, coalesce(data ->> 'wrapping', 'none')\n\tfrom",
	],
];
const MIGRATIONS: Readonly<Record<string, string>> = {
	shipping: "alter table shipments add column wrapping text;\n",
	notifications: "alter table messages add column wrapping text;\n",
};
const COPIED = [
	"lib",
	"middlewares",
	"mixins",
	"scripts",
	"services",
	"moleculer.config.ts",
	"package.json",
];

/** Writes the next version into a temporary folder. @returns the folder */
export function makeNextVersion(): string {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-next-"));
	for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
	symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
	for (const [file, from, to] of EDITS) {
		const path = join(folder, file);
		const parts = readFileSync(path, "utf8").split(from);
		if (parts.length !== 2)
			throw new Error(
				`${file} contains ${JSON.stringify(from)} ${parts.length - 1} times instead of once`,
			);
		writeFileSync(path, parts.join(to));
	}
	for (const [service, text] of Object.entries(MIGRATIONS)) {
		const path = join(folder, "services", service, "migrations/9000-wrapping");
		writeFileSync(`${path}.sql`, text);
		writeFileSync(`${path}.down.sql`, "select 1;\n");
	}
	return folder;
}
