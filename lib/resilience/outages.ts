import { isMessageTooLarge } from "./message-size.ts";

/**
 * moleculer's words for a call that nobody answered, or not in time. An open breaker, a service without a node, a full queue and a lost
 * NATS all come as one of them, with codes from 404 to 514.
 */
const UNANSWERED: ReadonlySet<unknown> = new Set([
	"SERVICE_NOT_FOUND",
	"SERVICE_NOT_AVAILABLE",
	"REQUEST_TIMEOUT",
	"REQUEST_REJECTED",
	"REQUEST_SKIPPED",
	"QUEUE_FULL",
	"BAD_GATEWAY",
]);
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;
/** Postgres: connection exceptions, insufficient resources, operator intervention (SQLSTATE classes 08, 53, 57). */
const SQLSTATE = /^(08|53|57)[0-9A-Z]{3}$/;
const SEQUELIZE = /^Sequelize(Connection|HostNot|AccessDenied|InvalidConnection)/;

/** What is looked at of an error; its class is lost between nodes. `nodeID` is there when it came from another node: where it was thrown. */
interface Failure {
	readonly code?: unknown;
	readonly type?: unknown;
	readonly name?: unknown;
	readonly message?: unknown;
	readonly retryable?: unknown;
	readonly parent?: unknown;
	readonly nodeID?: unknown;
	readonly data?: { readonly nodeID?: unknown; readonly action?: unknown };
}
const look = (error: unknown): Failure => error ?? {};

/**
 * Whether a failure says nothing about what was asked: no answer came, or nobody was there to give one. What was asked may or may not
 * have happened; it can be asked again, and splitting a batch does not help. To a client it is SERVICE_UNAVAILABLE, whatever its code.
 */
export function isOutage(error: unknown): boolean {
	const { code, type, name, message, retryable, parent } = look(error);
	if (retryable === true || UNANSWERED.has(type)) return true;
	if (typeof code === "string" && (SOCKET.test(code) || SQLSTATE.test(code))) return true;
	if (typeof name === "string" && SEQUELIZE.test(name)) return true;
	if (
		typeof message === "string" &&
		/^Connection terminated|timeout exceeded when trying to connect|ConnectionManager/.test(message)
	)
		return true;
	return parent !== undefined && parent !== error && isOutage(parent);
}

/**
 * Whether a failed call speaks against the node that was called: it was silent, or it failed in a way that no caller asked for. What we throw on
 * purpose does not, nor does a node that has no room, nor one that waited in vain for a third.
 */
export function isNodeFailure(error: unknown): boolean {
	const { code, type, nodeID } = look(error);
	// The node works: it has a result, which is larger than NATS allows.
	if (isMessageTooLarge(error)) return false;
	if (nodeID === undefined) return type === "REQUEST_TIMEOUT" || type === "REQUEST_REJECTED";
	return !UNANSWERED.has(type) && (typeof code !== "number" || (code >= 500 && code !== 503));
}

/** Whether a failure is what the called node, or one further on, had to say: it works. */
export const isConclusive = (error: unknown): boolean =>
	look(error).nodeID !== undefined && !isNodeFailure(error);

/** Whether a read may fare better when it is sent again at once: an answer was lost, here or further on. */
export const isWorthRetrying = (error: unknown): boolean => {
	const { type } = look(error);
	return type === "REQUEST_TIMEOUT" || type === "REQUEST_REJECTED" || type === "BAD_GATEWAY";
};

/** Whether a node did not even begin with a call of `action`, because it was about to end: it can do no harm on another. */
export function wasNotDelivered(error: unknown, action: string): boolean {
	const { type, nodeID, data } = look(error);
	if (type !== "SERVICE_NOT_AVAILABLE" && type !== "SERVICE_NOT_FOUND") return false;
	return nodeID !== undefined && data?.nodeID === nodeID && data.action === action;
}
