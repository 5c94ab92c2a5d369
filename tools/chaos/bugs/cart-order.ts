import { randomUUID } from "node:crypto";
import { replace } from "../patch.ts";

/** Bug: repeating the checkout of a cart places an order with another ID. */
await replace("services/carts/carts.statements.ts", ["FIND"], async (query, statement, values) => {
	const carts = (await query(statement, values)) as { status: string; request: object | null }[];
	return carts.map((cart) =>
		cart.status === "completing" && cart.request
			? { ...cart, request: { ...cart.request, order_id: randomUUID() } }
			: cart,
	);
});
