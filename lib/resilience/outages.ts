import { isMessageTooLarge } from "./message-size.ts";

/**
 * Moleculer's error types of a call without a response: open breaker, unavailable service, timeout,
 * full queue or lost connection. Their codes range from 404 to 514.
 */
const NO_RESPONSE: ReadonlySet<unknown> = new Set([
	"SERVICE_NOT_FOUND",
	"SERVICE_NOT_AVAILABLE",
	"REQUEST_TIMEOUT",
	"REQUEST_REJECTED",
	"REQUEST_SKIPPED",
	"QUEUE_FULL",
	"BAD_GATEWAY",
]);
const SOCKET_ERROR = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;
/**
 * Postgres: connection exceptions, insufficient resources, operator intervention (SQLSTATE classes
 * 08, 53, 57).
 */
const SQLSTATE = /^(08|53|57)[0-9A-Z]{3}$/;
/**
 * Postgres: errors that the values of one call cause, such as a number out of range or text that is
 * no query (SQLSTATE classes 21, 22, 23 and 54, and 42601).
 */
const CAUSED_BY_VALUES = /^(21|22|23|54)[0-9A-Z]{3}$|^42601$/;
/** Errors without a code. A connection that was lost between two statements is not queryable. */
const LOST_CONNECTION =
	/^Connection terminated|is not queryable$|timeout exceeded when trying to connect|ConnectionManager/;
const SEQUELIZE = /^Sequelize(Connection|HostNot|AccessDenied|InvalidConnection)/;

/**
 * Fields of an error that determine its kind; its class is lost between nodes. An error of another
 * node has `nodeID`, the node that threw it.
 */
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
const fieldsOf = (error: unknown): Failure => error ?? {};

/**
 * Whether a failure is an outage: no response arrived or no node was available. The call may or may
 * not have taken effect. It can be retried, and splitting a batch does not help. Clients receive
 * SERVICE_UNAVAILABLE, regardless of the code.
 */
export function isOutage(error: unknown): boolean {
	const { code, type, name, message, retryable, parent } = fieldsOf(error);
	if (retryable === true || NO_RESPONSE.has(type)) return true;
	if (typeof code === "string" && (SOCKET_ERROR.test(code) || SQLSTATE.test(code))) return true;
	if (typeof name === "string" && SEQUELIZE.test(name)) return true;
	if (typeof message === "string" && LOST_CONNECTION.test(message)) return true;
	return parent !== undefined && parent !== error && isOutage(parent);
}

/** Whether a call failed because of an outage of the called service, or of one behind it. */
export const isUnavailable = (error: unknown): boolean =>
	isOutage(error) || fieldsOf(error).code === 503;

/** Whether a failure is an expected rejection of the request: a 4xx that is not an outage. */
export function isRefusal(error: unknown): boolean {
	const { code } = fieldsOf(error);
	return typeof code === "number" && code >= 400 && code < 500 && !isOutage(error);
}

/**
 * Whether a failed call counts against the called node: it did not respond, or it failed
 * unexpectedly. Errors of a contract do not count, nor does an overloaded node or one that waited
 * for an unresponsive third node, nor an error that the values of the call cause: one client could
 * otherwise exclude a node for all others.
 */
export function isNodeFailure(error: unknown): boolean {
	const { code, type, nodeID } = fieldsOf(error);
	// The node works: its result exceeds the size limit of NATS.
	if (isMessageTooLarge(error)) return false;
	if (typeof code === "string" && CAUSED_BY_VALUES.test(code)) return false;
	if (nodeID === undefined) return type === "REQUEST_TIMEOUT" || type === "REQUEST_REJECTED";
	return !NO_RESPONSE.has(type) && (typeof code !== "number" || (code >= 500 && code !== 503));
}

/** Whether a failure is a response of the called node, or of a node behind it, that works. */
export const isConclusive = (error: unknown): boolean =>
	fieldsOf(error).nodeID !== undefined && !isNodeFailure(error);

/**
 * Whether an immediate retry of a read may succeed: a response was lost, here or at a later node.
 */
export const isWorthRetrying = (error: unknown): boolean => {
	const { type } = fieldsOf(error);
	return type === "REQUEST_TIMEOUT" || type === "REQUEST_REJECTED" || type === "BAD_GATEWAY";
};

/**
 * Whether a stopping node rejected a call of `action` before executing it. The call can be sent to
 * another node without risk.
 */
export function wasNotDelivered(error: unknown, action: string): boolean {
	const { type, nodeID, data } = fieldsOf(error);
	if (type !== "SERVICE_NOT_AVAILABLE" && type !== "SERVICE_NOT_FOUND") return false;
	return nodeID !== undefined && data?.nodeID === nodeID && data.action === action;
}
