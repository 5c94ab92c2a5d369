/** moleculer's: nobody there, nobody free, no time left. */
const CALL = new Set([
	"SERVICE_NOT_FOUND",
	"SERVICE_NOT_AVAILABLE",
	"REQUEST_TIMEOUT",
	"REQUEST_SKIPPED",
	"REQUEST_REJECTED",
	"QUEUE_FULL",
	"NODE_DISCONNECTED",
]);
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;
/** Postgres: connection exceptions, insufficient resources, operator intervention (SQLSTATE classes 08, 53, 57). */
const SQLSTATE = /^(08|53|57)[0-9A-Z]{3}$/;
const SEQUELIZE = /^Sequelize(Connection|HostNot|AccessDenied|InvalidConnection)/;

/**
 * Whether a failure says nothing about what was asked: no answer came, or nobody was there to give one. What was asked may or may not
 * have happened; it can be asked again, and splitting a batch does not help.
 */
export function isOutage(error: unknown): boolean {
	const { code, type, name, message, retryable, parent } = (error ?? {}) as Record<string, unknown>;
	if (retryable === true) return true;
	if (typeof type === "string" && CALL.has(type)) return true;
	if (typeof code === "string" && (SOCKET.test(code) || SQLSTATE.test(code))) return true;
	if (typeof name === "string" && SEQUELIZE.test(name)) return true;
	if (typeof message === "string" && /^Connection terminated|timeout exceeded when trying to connect|ConnectionManager/.test(message))
		return true;
	return parent !== undefined && parent !== error && isOutage(parent);
}
