import { accounts } from "./accounts.flow.ts";
import { audit } from "./audit.flow.ts";
import { authorization } from "./authorization.flow.ts";
import { carts } from "./carts.flow.ts";
import { catalogue } from "./catalogue.flow.ts";
import { files } from "./files.flow.ts";
import { fuzzing } from "./fuzz.flow.ts";
import { operations } from "./operations.flow.ts";
import { orders } from "./order.flow.ts";
import { orderEvents } from "./order-events.flow.ts";
import { orderTraces } from "./order-traces.flow.ts";
import { revocation } from "./revocation.flow.ts";
import { secrets } from "./secrets.flow.ts";
import type { Flow } from "./shape.ts";

/**
 * Tests that run in every mode. The audit precedes tests that modify its records. Flows that stop
 * nodes are the last ones, so that the others run on all nodes.
 */
export const flows: Readonly<Record<string, Flow>> = {
	orders,
	carts,
	accounts,
	catalogue,
	files,
	audit,
	authorization,
	revocation,
	"order traces": orderTraces,
	"fuzzed requests": fuzzing,
	secrets,
	operations,
	"order events": orderEvents,
};
