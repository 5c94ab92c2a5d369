import { anonymous, cookieCredentials } from "./credentials.ts";
import { type Context, call, methodOf } from "./methods.ts";
import { merge, type RequestOptions } from "./options.ts";
import type { Route } from "./route.ts";
import { routes } from "./routes.ts";
import {
	type IssuedTokens,
	memoryStore,
	sessionCredentials,
	type TokenStore,
	type Tokens,
	toTokens,
} from "./session.ts";
import { transport } from "./transport.ts";
import type { Services } from "./types.ts";

export interface ClientOptions extends RequestOptions {
	/** Address of the shop: "https://shop.example". By default that of the page. */
	readonly url?: string | URL;
	/** Tokens of a session, or the storage that keeps them. By default, memory. */
	readonly tokens?: Tokens | TokenStore;
	/** "cookie": the session is in cookies that the shop has set, instead of `tokens`. */
	readonly credentials?: "cookie";
	/** Renews the cookies after a request was rejected. Only with `credentials: "cookie"`. */
	readonly refresh?: () => Promise<unknown>;
	/** Replaces the global `fetch`. */
	readonly fetch?: typeof globalThis.fetch;
}

/** Client of a shop: one method per action, and the session. */
export type Client = Services & Session;
interface Session {
	/** Opens a session, whose tokens all further requests use. */
	signIn(account: { email: string; password: string }, options?: RequestOptions): Promise<void>;
	/** Ends the session. */
	signOut(options?: RequestOptions): Promise<void>;
	/** A client with the same session and other default options, such as a guest's `cartToken`. */
	with(options: RequestOptions): Client;
}

/** Creates a client of a shop. */
export function createClient(options: ClientOptions = {}): Client {
	const { url = "", tokens, credentials, refresh, fetch, ...defaults } = options;
	const { send } = transport(
		String(url).replace(/\/$/, ""),
		fetch ?? ((...request) => globalThis.fetch(...request)),
	);
	const store = tokens && "get" in tokens ? tokens : memoryStore(tokens);
	const plain: Context = { send, credentials: anonymous, defaults: {} };
	const session =
		credentials === "cookie"
			? cookieCredentials(refresh)
			: sessionCredentials(store, (refresh_token) =>
					// Not repeated here: a second use of a refresh token ends the session.
					call<IssuedTokens>(plain, routes["auth.refresh"], { refresh_token }, { attempts: 1 }),
				);
	return clientOf({ send, credentials: session, defaults }, store);
}

function clientOf(context: Context, store: TokenStore): Client {
	const services: Record<string, Record<string, unknown>> = {};
	for (const [action, route] of Object.entries<Route>(routes)) {
		const [service, name] = action.split(".") as [string, string];
		services[service] ??= {};
		services[service][name] = methodOf(context, route);
	}
	const session: Session = {
		async signIn({ email, password }, options) {
			const account = { email, password };
			const issued = await call<IssuedTokens>(context, routes["auth.login"], account, options);
			await store.set(toTokens(issued));
		},
		async signOut(options) {
			const { refresh_token } = (await store.get()) ?? {};
			if (refresh_token) await call(context, routes["auth.logout"], { refresh_token }, options);
			await store.set(undefined);
		},
		with: (options) => clientOf({ ...context, defaults: merge(context.defaults, options) }, store),
	};
	return { ...services, ...session } as unknown as Client;
}
