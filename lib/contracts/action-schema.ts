import { StartError } from "../process/start-error.ts";
import type { ActionContract } from "./contract.ts";
import type { Shape } from "./schema.ts";
import { rejectUnknownFields } from "./unknown-fields.ts";

/**
 * Converts the contract of an action into a Moleculer action. The registry transmits the contract,
 * so that the gateway can read it on another node.
 *
 * @param unknownFields handling of undeclared parameters: an error for clients and operators;
 * ignored in calls between services, because the caller may run a newer version (docs/adr/0013)
 * @throws StartError if `cache` or `responseCache` is not allowed for the action, or `bodyList`
 * names no list
 */
export function toActionSchema(
	{ bulkhead, ...action }: ActionContract,
	handler: unknown,
	unknownFields: (params: Shape) => object = rejectUnknownFields,
) {
	assertCachesAllowed(action);
	assertBodyList(action);
	return {
		...withoutSharedReferences({ ...action, params: unknownFields(action.params) }),
		...(bulkhead
			? {
					bulkhead: {
						enabled: true,
						concurrency: bulkhead.concurrency,
						maxQueueSize: bulkhead.queue,
					},
				}
			: {}),
		visibility: action.rest ? "published" : "public",
		handler,
	};
}

/** @throws StartError if a result or response that differs between clients would be cached */
function assertCachesAllowed({
	cache,
	responseCache,
	token,
	rest = "an action without a route",
	also,
	auth,
	stream,
}: ActionContract): void {
	if (token && (cache || responseCache))
		throw new StartError(`\`token\` excludes \`cache\` and \`responseCache\`, see ${rest}`);
	if (!responseCache || (rest.startsWith("GET ") && !also && auth === "anyone" && !stream)) return;
	throw new StartError(`\`responseCache\` requires a GET that is open to anyone; ${rest} is not`);
}

/** @throws StartError if the body of the action cannot be its list parameter */
function assertBodyList({ bodyList, params, rest }: ActionContract): void {
	if (bodyList === undefined || params[bodyList]?.type === "array") return;
	throw new StartError(`\`bodyList\` of ${rest} names no list parameter: ${bodyList}`);
}

/**
 * Deep copy in which no object occurs twice. Moleculer treats a repeated reference as a cycle and
 * drops it from the registry data it sends to other nodes, and contracts share rules.
 */
export const withoutSharedReferences = <T>(data: T): T => JSON.parse(JSON.stringify(data));
