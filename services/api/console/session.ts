import type { Context } from "moleculer";
import { isError } from "../../../lib/contracts/contract.ts";
import { commonError } from "../../../lib/contracts/errors.ts";
import { readBody } from "../http/body.ts";
import {
	type Gateway,
	type Handler,
	type HttpResponse,
	type Request,
	type Response,
	sendResponse,
} from "../http/exchange.ts";
import { problemResponse, toProblem } from "../http/problem-details.ts";
import {
	assertFromConsole,
	clearedCookies,
	cookieAuthorization,
	refreshTokenOf,
	sessionCookies,
	type Tokens,
} from "./cookies.ts";

/**
 * Session of the admin console in HttpOnly cookies (docs/adr/0038). All routes but the first
 * require the headers of the console:
 *
 * - `GET` returns `{user}`; `user` is null without a valid access token, and `refreshable` is true
 *   if there is a refresh token
 * - `POST {email, password}` signs in an admin and returns `{user, expires_in}`
 * - `POST …/refresh` exchanges the refresh token and returns the same
 * - `DELETE` ends the session
 */
export const consoleSession: Readonly<Record<string, Handler>> = {
	"GET /console/session": route(async (call) => ({ status: 200, body: read(call) })),
	"POST /console/session": route(signIn),
	"POST /console/session/refresh": route(refresh),
	"DELETE /console/session": route(signOut),
};

/** A request to a route of the session. */
interface Call {
	readonly gateway: Gateway;
	readonly req: Request;
	readonly res: Response;
	/** Calls the action of a route, as an anonymous request to it does. */
	act(route: string, params: object): Promise<unknown>;
}

function read({ gateway, req }: Call): string {
	const refreshable = refreshTokenOf(req) !== undefined;
	try {
		const user = userOf(gateway, cookieAuthorization(gateway, req));
		return JSON.stringify({ user, refreshable });
	} catch (error) {
		if (!isError(error, "UNAUTHENTICATED")) throw error;
		return JSON.stringify({ user: null, refreshable });
	}
}

async function signIn(call: Call): Promise<HttpResponse> {
	const { gateway, req } = call;
	assertFromConsole(gateway, req);
	await gateway.rateLimits.count(req.address, true, (headers) => {
		req.limit = headers;
	});
	const tokens = (await call.act("POST /api/users/login", await readBody(req))) as Tokens;
	return opened(call, tokens);
}

async function refresh(call: Call): Promise<HttpResponse> {
	const { gateway, req, res } = call;
	assertFromConsole(gateway, req);
	const refresh_token = refreshTokenOf(req);
	try {
		if (!refresh_token) throw commonError("UNAUTHENTICATED");
		return await opened(
			call,
			(await call.act("POST /api/auth/refresh", { refresh_token })) as Tokens,
		);
	} catch (error) {
		if (isError(error, "UNAUTHENTICATED"))
			res.setHeader("Set-Cookie", clearedCookies(gateway, req));
		throw error;
	}
}

/** Keeps the cookies if the session could not be ended, so that the user can try again. */
async function signOut(call: Call): Promise<HttpResponse> {
	const { gateway, req, res } = call;
	assertFromConsole(gateway, req);
	const refresh_token = refreshTokenOf(req);
	if (refresh_token) await call.act("POST /api/auth/logout", { refresh_token });
	res.setHeader("Set-Cookie", clearedCookies(gateway, req));
	return { status: 204 };
}

/**
 * Sets the cookies of a session.
 * @throws FORBIDDEN if its user is not an admin, after ending the session
 */
async function opened(call: Call, tokens: Tokens): Promise<HttpResponse> {
	const { gateway, req, res, act } = call;
	const user = userOf(gateway, `Bearer ${tokens.access_token}`);
	if (user?.role !== "admin") {
		await act("POST /api/auth/logout", { refresh_token: tokens.refresh_token });
		res.setHeader("Set-Cookie", clearedCookies(gateway, req));
		throw commonError("FORBIDDEN", undefined, "Only administrators can use the console");
	}
	res.setHeader("Set-Cookie", sessionCookies(gateway, req, tokens));
	const { expires_in } = tokens;
	return { status: 200, body: JSON.stringify({ user, expires_in }) };
}

/** @throws UNAUTHENTICATED, SERVICE_UNAVAILABLE */
function userOf(gateway: Gateway, authorization: string | undefined) {
	const user = gateway.verifyToken(authorization);
	if (!user) return null;
	const { id, email, role } = user;
	return { id, email, role };
}

function route(respond: (call: Call) => Promise<HttpResponse>): Handler {
	return function (req, res, next) {
		let action: string | undefined;
		const act = (target: string, params: object): Promise<unknown> => {
			const [method, path] = target.split(" ") as [string, string];
			action = this.table.find(method, path).target.action;
			Object.assign(req.$ctx.meta, { user: null, address: req.address });
			return (req.$ctx as unknown as Context).call(action!, params);
		};
		respond({ gateway: this, req, res, act })
			.catch((error): HttpResponse => {
				const problem = toProblem(error, action);
				req.failure = { error, code: problem.code };
				return problemResponse(problem, req.id);
			})
			.then(({ headers, ...response }) =>
				sendResponse(this, req, res, {
					...response,
					headers: { ...headers, "Cache-Control": "no-store" },
				}),
			)
			.catch(next);
	};
}
