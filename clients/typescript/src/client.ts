import { anonymous, cookieCredentials } from "./credentials.ts";
import { type Context, call, methodOf } from "./methods.ts";
import { merge, type RequestOptions } from "./options.ts";
import type { Route } from "./route.ts";
import { routes } from "./routes.ts";
import { memoryStore, type Session, session, type TokenStore, type Tokens } from "./session.ts";
import { transport } from "./transport.ts";
import type { Services } from "./types.ts";

export interface ClientOptions extends RequestOptions {
	/** Address of the shop: "https://shop.example". By default that of the page. */
	readonly url?: string | URL;
	/** Tokens of a session, or the storage that keeps them. By default, memory. */
	readonly tokens?: Tokens | TokenStore;
	/** "cookie": the session is in cookies that the shop has set, instead of `tokens`. */
	readonly credentials?: "cookie";
	/**
	 * Renews the cookies after a request was rejected, with `credentials: "cookie"`. Throws
	 * SessionEndedError if the session has ended.
	 */
	readonly refresh?: () => Promise<unknown>;
	/** Replaces the global `fetch`. */
	readonly fetch?: typeof globalThis.fetch;
}

/** Client of a shop: one method per action, and the session. */
export type Client = Services & SessionMethods;
interface SessionMethods {
	/** Opens a session, whose tokens all further requests use. */
	signIn(account: { email: string; password: string }, options?: RequestOptions): Promise<void>;
	/** Ends the session, also if the shop does not respond. */
	signOut(): Promise<void>;
	/** A client with the same session and other default options, such as a guest's `cartToken`. */
	with(options: RequestOptions): Client;
}

/**
 * Creates a client of a shop.
 * @throws TypeError for an invalid address
 */
export function createClient(options: ClientOptions = {}): Client {
	const { url, tokens, credentials, refresh, fetch, ...defaults } = options;
	const { send } = transport(
		addressOf(url),
		// Browsers require that the global function is called without `this`.
		fetch ?? ((...request) => globalThis.fetch(...request)),
	);
	const anonymously: Context = { send, credentials: anonymous, defaults: {} };
	const account = session(tokens && "get" in tokens ? tokens : memoryStore(tokens), {
		// One attempt: a second use of a refresh token ends the session.
		refresh: (refresh_token) =>
			call(anonymously, routes["auth.refresh"], { refresh_token }, { attempts: 1 }),
		logout: (refresh_token) => call(anonymously, routes["auth.logout"], { refresh_token }),
	});
	return clientOf(
		{
			send,
			credentials: credentials === "cookie" ? cookieCredentials(refresh) : account.credentials,
			defaults,
		},
		account,
	);
}

/** @throws TypeError */
function addressOf(url: string | URL | undefined): string {
	if (url === undefined && "location" in globalThis) return "";
	const address = String(url);
	if (/^https?:\/\/[^/]/.test(address)) return new URL(address).href.replace(/\/$/, "");
	throw new TypeError(`\`url\` must be the address of the shop, https://…, not "${address}"`);
}

function clientOf(context: Context, account: Session): Client {
	const services: Record<string, Record<string, unknown>> = {};
	for (const [action, route] of Object.entries<Route>(routes)) {
		const [service, name] = action.split(".") as [string, string];
		services[service] ??= {};
		services[service][name] = methodOf(context, route);
	}
	const methods: SessionMethods = {
		async signIn({ email, password }, options) {
			// Without the tokens of the session that it replaces, which may have expired.
			const anonymously = { ...context, credentials: anonymous };
			const params = { email, password };
			await account.start(await call(anonymously, routes["auth.login"], params, options));
		},
		signOut: () => account.end(),
		with: (options) =>
			clientOf({ ...context, defaults: merge(context.defaults, options) }, account),
	};
	return { ...services, ...methods } as unknown as Client;
}
