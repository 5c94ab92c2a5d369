import type { Context, ServiceSchema } from "moleculer";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import type { methodActions } from "../../services/shipping/shipping.contract.methods.ts";
import shipping from "../../services/shipping/shipping.service.ts";

type Quote = typeof methodActions.quote;

const CURRENCY = "EUR";
/** Price of a parcel, and of each started kilogram. */
const PARCEL = 3;
const KILOGRAM = 0.5;

/**
 * The shop's shipping service with prices by weight instead of its table. Everything else, such as
 * the shipments of orders, is inherited: Moleculer merges the schema with its mixin.
 */
export default {
	name: shipping.name,
	mixins: [shipping],
	actions: {
		status: {
			async handler(): Promise<Value<(typeof methodActions.status)["returns"]>> {
				return { enabled: true };
			},
		},
		quote: {
			async handler({
				params: { carts },
			}: Context<Infer<Quote["params"]>>): Promise<Value<Quote["returns"]>> {
				return carts.map(({ currency, weight }) => {
					const price = PARCEL + KILOGRAM * Math.ceil(weight / 1000);
					return currency === CURRENCY ? [{ code: "parcel", name: "Parcel", price }] : [];
				});
			},
		},
	},
} satisfies ServiceSchema;
