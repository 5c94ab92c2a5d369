import type { ServiceBroker } from "moleculer";
import { cachedLookup } from "../../lib/caching/cached-lookups.ts";
import type { Call } from "../../lib/contracts/contract.ts";
import type {} from "../products/products.contract.ts";
import type {} from "../users/users.contract.ts";

/** Lookups of users and products, with a validated cache in this process. */
export const createLookup = (broker: ServiceBroker, call: Call) => ({
	users: cachedLookup(broker, "users", (ids) => call("users.resolve", { ids })),
	products: cachedLookup(broker, "products", (ids) => call("products.resolve", { ids })),
});
