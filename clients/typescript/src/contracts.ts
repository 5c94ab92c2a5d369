/**
 * The contracts, as types: nothing is imported at run time. This is the only file that refers to
 * the rest of the repository; the published package has a generated one instead (docs/adr/0037).
 */
import type { auth } from "../../../services/auth/auth.contract.ts";
import type { carts } from "../../../services/carts/carts.contract.ts";
import type { inventory } from "../../../services/inventory/inventory.contract.ts";
import type { notifications } from "../../../services/notifications/notifications.contract.ts";
import type { operations } from "../../../services/operations/operations.contract.ts";
import type { orders } from "../../../services/orders/orders.contract.ts";
import type { payments } from "../../../services/payments/payments.contract.ts";
import type { products } from "../../../services/products/products.contract.ts";
import type { promotions } from "../../../services/promotions/promotions.contract.ts";
import type { shipping } from "../../../services/shipping/shipping.contract.ts";
import type { tax } from "../../../services/tax/tax.contract.ts";
import type { users } from "../../../services/users/users.contract.ts";

export type { CommonError } from "../../../lib/contracts/errors.ts";
export type { Infer, Input, Value } from "../../../lib/contracts/values.ts";

/** Contract of each service with routes, by name. */
export interface Contracts {
	readonly auth: typeof auth;
	readonly carts: typeof carts;
	readonly inventory: typeof inventory;
	readonly notifications: typeof notifications;
	readonly operations: typeof operations;
	readonly orders: typeof orders;
	readonly payments: typeof payments;
	readonly products: typeof products;
	readonly promotions: typeof promotions;
	readonly shipping: typeof shipping;
	readonly tax: typeof tax;
	readonly users: typeof users;
}
