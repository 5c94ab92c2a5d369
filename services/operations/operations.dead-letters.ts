import type { Ctx } from "../../lib/contracts/contract.ts";
import { commonError } from "../../lib/contracts/errors.ts";
import type { Infer, Value } from "../../lib/contracts/schema.ts";
import type { operations } from "./operations.contract.ts";
import type { CallAny, FanOut } from "./operations.fan-out.ts";
import { assertPosition, oldestFirst, toFilter } from "./operations.rules.ts";

type Actions = (typeof operations)["actions"];
type Params<A extends keyof Actions> = Infer<Actions[A]["params"]>;
type Result<A extends keyof Actions> = Value<Actions[A]["returns"]>;

/** Milliseconds that a service has for a read and for a change. */
const READ_MS = 3000;
const CHANGE_MS = 8000;

const callOf = (ctx: Ctx): CallAny => ctx.call.bind(ctx) as unknown as CallAny;

/** Oldest dead letters of one service or of all. */
export async function listDeadLetters(
	services: FanOut,
	ctx: Ctx<Params<"listDeadLetters">>,
): Promise<Result<"listDeadLetters">> {
	assertPosition(ctx.params);
	const { service, ...params } = ctx.params;
	const { results, unavailable } = await services.callEach(callOf(ctx), "deadLetters", params, {
		service,
		ms: READ_MS,
	});
	const rows = results.flatMap(({ service, result }) =>
		result.map((letter) => ({ service, ...letter })),
	);
	return { rows: oldestFirst(rows, params.limit), unavailable };
}

/** One dead letter with its event. @throws DEAD_LETTER_NOT_FOUND, SERVICE_UNAVAILABLE */
export async function getDeadLetter(
	services: FanOut,
	ctx: Ctx<Params<"getDeadLetter">>,
): Promise<Result<"getDeadLetter">> {
	const { service, event_id } = ctx.params;
	if (!services.has(service, "deadLetter")) throw commonError("DEAD_LETTER_NOT_FOUND");
	const { results } = await services.callEach(
		callOf(ctx),
		"deadLetter",
		{ event_id },
		{ service, ms: READ_MS },
	);
	const [found] = results;
	if (!found) throw commonError("SERVICE_UNAVAILABLE");
	return { service, ...found.result };
}

/** Retries or discards the selected dead letters. Repeating it after a failure is safe. */
export async function changeDeadLetters(
	services: FanOut,
	ctx: Ctx<Params<"retry">>,
	action: "retryDeadLetters" | "discardDeadLetters",
): Promise<Result<"retry">> {
	const { service, filter } = toFilter(ctx.params);
	const { results, unavailable } = await services.callEach(callOf(ctx), action, filter, {
		service,
		ms: CHANGE_MS,
	});
	return { count: results.reduce((sum, { result }) => sum + result.count, 0), unavailable };
}
