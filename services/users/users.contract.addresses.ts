import { address } from "../../lib/contracts/address.ts";
import { list, object, partial, shape } from "../../lib/contracts/schema.ts";
import { id } from "./users.contract.shapes.ts";

const address_id = { address_id: { type: "uuid" } } as const;
/** An address of an account. */
export const savedAddress = shape({
	...id,
	...address,
	is_default_shipping: { type: "boolean" },
	is_default_billing: { type: "boolean" },
});
const defaults = {
	is_default_shipping: {
		type: "boolean",
		default: false,
		description: "Replaces the former default shipping address",
	},
	is_default_billing: {
		type: "boolean",
		default: false,
		description: "Replaces the former default billing address",
	},
} as const;

/** The address book of an account. */
export const addressActions = {
	listAddresses: {
		summary: "List the addresses of a user, oldest first",
		rest: "GET /users/:id/addresses",
		auth: "owner",
		params: id,
		returns: list(object(savedAddress)),
		throws: ["USER_NOT_FOUND"],
		retry: true,
	},
	addAddress: {
		summary: "Add an address of a user, at most 50",
		rest: "POST /users/:id/addresses",
		auth: "owner",
		idempotent: true,
		status: 201,
		params: { ...id, ...address, ...defaults },
		returns: object(savedAddress),
		throws: [
			"USER_NOT_FOUND",
			"ADDRESS_BOOK_FULL",
			"IDEMPOTENCY_KEY_IN_USE",
			"IDEMPOTENCY_KEY_REUSED",
		],
	},
	updateAddress: {
		summary: "Update an address of a user",
		rest: "PATCH /users/:id/addresses/:address_id",
		auth: "owner",
		params: {
			...id,
			...address_id,
			...partial({
				...address,
				is_default_shipping: { type: "boolean" },
				is_default_billing: { type: "boolean" },
			}),
		},
		returns: object(savedAddress),
		throws: ["USER_NOT_FOUND", "ADDRESS_NOT_FOUND"],
	},
	removeAddress: {
		summary: "Delete an address of a user",
		rest: "DELETE /users/:id/addresses/:address_id",
		auth: "owner",
		status: 204,
		params: { ...id, ...address_id },
		returns: { type: "any" },
		throws: ["ADDRESS_NOT_FOUND"],
	},
} as const;
