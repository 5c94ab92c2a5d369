import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import type { CallingOptions, ServiceBroker } from "moleculer";
import type { Call, Meta } from "../../lib/contracts/contract.ts";
import type {} from "../../services/users/users.contract.ts";

type User = NonNullable<Meta["user"]>;
type UntypedCall = (action: string, params?: object, options?: CallingOptions) => Promise<unknown>;
/** Writes a line to the log of this node. */
type WriteLog = (fields: object, message: string) => void;

/**
 * Operators are administrators: a process that can reach NATS can call every action with any
 * identity, so a login would protect nothing.
 */
const ADMINISTRATOR: User = {
	id: "00000000-0000-0000-0000-000000000000",
	email: "operator@localhost",
	role: "admin",
};

/**
 * The person at the prompt, identified by the operating system's user and host. All calls run with
 * the identity of an administrator, or of the user that `switchTo` selected.
 *
 * The log of this node names the operator of each command. The command's calls share a request id,
 * by which the lines of other nodes belong to it: those lines contain ids only.
 */
export class Operator {
	readonly #broker: ServiceBroker;
	readonly #log: WriteLog;
	#user = ADMINISTRATOR;

	constructor(broker: ServiceBroker, log: WriteLog) {
		this.#broker = broker;
		this.#log = log;
	}

	/** E-mail address of the user that `switchTo` selected. */
	get actsAs(): string | undefined {
		return this.#user === ADMINISTRATOR ? undefined : this.#user.email;
	}

	/**
	 * Logs a command. The result performs its calls.
	 * @param about further fields of the log line; never parameters, which may be personal data
	 */
	begin(command: string, about: object = {}): UntypedCall {
		const requestID = randomUUID();
		const fields = { operator: systemUser(), host: hostname(), user_id: this.#user.id };
		this.#log({ command, ...about, ...fields, request_id: requestID }, "Operator command");
		return (action, params = {}, options = {}) =>
			this.#broker.call(action, params, {
				requestID,
				...options,
				meta: { user: this.#user, ...options.meta },
			} as CallingOptions) as Promise<unknown>;
	}

	/**
	 * Selects the user whose identity all further calls have, or the administrator if `email` is
	 * undefined.
	 * @param call of the command that switches
	 * @throws Error if no active user has this address
	 */
	async switchTo(call: UntypedCall, email: string | undefined): Promise<void> {
		if (email === undefined) {
			this.#user = ADMINISTRATOR;
			return;
		}
		const find = call as unknown as Call;
		const found = await find("users.findByEmail", { email });
		if (!found?.is_active) throw new Error(`No active user has the address ${email}`);
		this.#user = { id: found.id, email: found.email, role: found.role };
	}
}

/** Name of the operating system's user; its number if it has no name, as in many containers. */
function systemUser(): string {
	try {
		return userInfo().username;
	} catch {
		return `uid ${process.getuid?.()}`;
	}
}

/** The broker as moleculer-repl sees it. */
interface OperatorBroker {
	readonly broker: ServiceBroker;
	/** Starts a new line of input: the log then names the operator again for each action. */
	startLine(): void;
}

/**
 * Wraps a broker for moleculer-repl. `call` runs as the operator and is logged once per action and
 * line, because `bench` repeats it. Failed calls have a readable block instead of a stack. `stop`
 * ends the program. All other members are the broker's own.
 */
export function operatorBroker(
	broker: ServiceBroker,
	operator: Operator,
	{ stop, explain }: { stop(): Promise<never>; explain(error: unknown): string },
): OperatorBroker {
	const calls = new Map<string, UntypedCall>();
	const call: UntypedCall = (action, params, options) => {
		const perform = calls.get(action) ?? operator.begin("call", { action });
		calls.set(action, perform);
		return perform(action, params, options).catch((error) => {
			// moleculer-repl prints the stack, and the data below it.
			throw Object.assign(new Error(error.message), { stack: explain(error) });
		});
	};
	const own: Readonly<Record<string | symbol, unknown>> = { call, stop };
	const wrapped = new Proxy(broker, {
		get(target, name) {
			if (Object.hasOwn(own, name)) return own[name];
			const value = Reflect.get(target, name);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
	return { broker: wrapped, startLine: () => calls.clear() };
}
