import { ServiceBroker } from "moleculer";
import { Database, type Statement } from "../../lib/persistence/database.ts";
import { CLAIM_UNSETTLED } from "../../services/carts/carts.statements.ts";
import { CLAIM } from "../../services/orders/saga/statements.ts";

/**
 * Preload script: the node kills itself (SIGKILL) before or after a call or statement. DIE_AT names
 * the point: "before payments.charge", "after complete".
 */
const { DIE_AT, NODE_ENV } = process.env;
if (NODE_ENV !== "test" || !DIE_AT) throw new Error("die-at.ts requires NODE_ENV=test and DIE_AT");

const dieAt = (boundary: string) => {
	if (boundary === DIE_AT) process.kill(process.pid, "SIGKILL");
};

const call = ServiceBroker.prototype.call;
ServiceBroker.prototype.call = async function (
	this: ServiceBroker,
	name: string,
	...rest: never[]
) {
	dieAt(`before ${name}`);
	const result = await (call as (...all: unknown[]) => Promise<unknown>).call(this, name, ...rest);
	dieAt(`after ${name}`);
	return result;
} as never;

const query = Database.prototype.query;
Database.prototype.query = async function (
	this: Database,
	statement: Statement | string,
	values?: readonly unknown[],
) {
	const name = typeof statement === "string" ? "" : statement.name;
	// Another node's order or cart would make this node die before its own order is placed.
	if (name === CLAIM.name || name === CLAIM_UNSETTLED.name) return [];
	dieAt(`before ${name}`);
	const rows = await query.call(this, statement, values);
	dieAt(`after ${name}`);
	return rows;
} as typeof query;
