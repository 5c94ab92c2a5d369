import type { ServiceBroker } from "moleculer";
import { cacheOf } from "../../lib/caching/lease-cache.ts";
import { ValidatedCache } from "../../lib/caching/validated-cache.ts";
import { assertNotEmpty } from "../../lib/contracts/changes.ts";
import { throwError } from "../../lib/contracts/contract.ts";
import { metricsOf } from "../../lib/observability/metrics/registry.ts";
import type { Database, Tx } from "../../lib/persistence/database.ts";
import { shipping } from "./shipping.contract.ts";
import { assertMethod, type Method } from "./shipping.methods.rules.ts";
import * as statements from "./shipping.methods.statements.ts";

const SERVICE = "shipping";
/** Maximum age of the cached methods in milliseconds. A change invalidates them at once. */
const MAX_AGE_MS = 60_000;
/** Estimated memory of a method. */
const METHOD_BYTES = 2000;
/** Maximum number of methods. Each quote examines all of them. */
export const MAX_METHODS = 100;

/** The table of shipping methods. This process caches it until a method changes. */
export function openMethodTable(broker: ServiceBroker, db: Database) {
	const cache = cacheOf(broker);
	const rows = cache.of<never>(SERVICE, MAX_AGE_MS);
	const methods = new ValidatedCache<Method[]>(cache, ({ length }) => (length + 1) * METHOD_BYTES, {
		metrics: metricsOf(broker),
	});
	const change = <R>(work: (tx: Tx) => Promise<R>): Promise<R> =>
		rows.whileInvalidated([], () => db.transaction(work));
	const valuesOf = (method: Method) => [JSON.stringify(method), [...new Set(method.countries)]];

	return {
		/** All methods, by position. */
		list: (): Promise<Method[]> =>
			methods.get(SERVICE, "methods", MAX_AGE_MS, () => db.query<Method>(statements.LIST_METHODS)),

		/** @throws VALIDATION_ERROR, METHOD_EXISTS, TOO_MANY_METHODS */
		async create(method: Method): Promise<Method> {
			assertMethod(method);
			return change(async (tx) => {
				await tx.query(statements.LOCK_METHODS);
				const [inserted] = await tx.query<Method>(statements.INSERT_METHOD, valuesOf(method));
				if (!inserted) throwError(shipping, "METHOD_EXISTS");
				const [count] = await tx.query<{ methods: number }>(statements.COUNT_METHODS);
				if (count!.methods > MAX_METHODS) throwError(shipping, "TOO_MANY_METHODS");
				return inserted;
			});
		},

		/** @throws VALIDATION_ERROR, METHOD_NOT_FOUND */
		async update(code: string, changes: Partial<Method>): Promise<Method> {
			assertNotEmpty(changes);
			return change(async (tx) => {
				const [before] = await tx.query<Method>(statements.LOCK_METHOD, [code]);
				if (!before) throwError(shipping, "METHOD_NOT_FOUND");
				const method = { ...before, ...changes };
				assertMethod(method);
				const [after] = await tx.query<Method>(statements.UPDATE_METHOD, valuesOf(method));
				return after!;
			});
		},

		/** @throws METHOD_NOT_FOUND */
		async remove(code: string): Promise<void> {
			const [removed] = await change((tx) => tx.query(statements.DELETE_METHOD, [code]));
			if (!removed) throwError(shipping, "METHOD_NOT_FOUND");
		},
	};
}
