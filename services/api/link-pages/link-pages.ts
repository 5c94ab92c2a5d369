import type { Context } from "moleculer";
import { commonError } from "../../../lib/contracts/errors.ts";
import { escapeHtml } from "../../../lib/text/html.ts";
import { readForm } from "../http/body.ts";
import { clientAddress } from "../http/client-address.ts";
import type { Gateway, Handler, HttpResponse, Request } from "../http/exchange.ts";
import { queryOf } from "../http/parameters.ts";
import { type Problem, problemResponse, toProblem } from "../http/problem-details.ts";
import { alertOf, handler, htmlPage, INCOMPLETE_LINK, TOKEN } from "./html.ts";

/**
 * A page that a mailed link leads to. Opening it changes nothing, because mail scanners open links;
 * its form calls an action.
 */
interface LinkPage {
	readonly path: string;
	/**
	 * The route of the action, which takes the link's token and, where `password` is set, a new
	 * password.
	 */
	readonly route: string;
	readonly title: string;
	readonly text: string;
	readonly button: string;
	readonly password?: true;
	readonly done: string;
}
const PAGES: readonly LinkPage[] = [
	{
		path: "/verify-email",
		route: "/api/users/verify-email",
		title: "Confirm your e-mail address",
		text: "Please confirm that this e-mail address is yours.",
		button: "Confirm",
		done: "Your e-mail address is confirmed.",
	},
	{
		path: "/password-reset",
		route: "/api/users/password-reset/confirm",
		title: "Set a new password",
		text: "Choose a new password of at least 8 characters. You are then signed out everywhere.",
		button: "Set password",
		password: true,
		done: "Your new password is set. You can sign in with it now.",
	},
	{
		path: "/email-change",
		route: "/api/users/email-change/confirm",
		title: "Use your new e-mail address",
		text:
			"Please confirm that your account should use this e-mail address. " +
			"You are then signed out everywhere.",
		button: "Use this address",
		done: "Your account uses this e-mail address now. You can sign in with it.",
	},
	{
		path: "/email-change/undo",
		route: "/api/users/email-change/undo",
		title: "Undo the change of your e-mail address",
		text:
			"Choose a new password of at least 8 characters. " +
			"Your account then uses this e-mail address again, and all sessions are signed out.",
		button: "Undo the change",
		password: true,
		done:
			"Your account uses this e-mail address again. " +
			"You can sign in with it and your new password.",
	},
];

/**
 * The pages that mailed links lead to, by method and path. They are plain HTML forms, which work
 * without JavaScript.
 */
export const linkPages: Readonly<Record<string, Handler>> = Object.fromEntries(
	PAGES.flatMap((page) => [
		[`GET ${page.path}`, handler(async (_, req) => open(page, queryOf(req).get("token")))],
		[`POST ${page.path}`, handler((gateway, req) => submit(page, gateway, req))],
	]),
);

function open(page: LinkPage, token: string | null): HttpResponse {
	if (token && TOKEN.test(token))
		return htmlPage(200, page.title, `<p>${page.text}</p>${form(page, token)}`);
	return htmlPage(400, page.title, alertOf(INCOMPLETE_LINK));
}

/** Calls the page's action, as a request to its route would, and shows the result as a page. */
async function submit(page: LinkPage, gateway: Gateway, req: Request): Promise<HttpResponse> {
	let token = "";
	try {
		const address = clientAddress(req, gateway.proxies);
		await gateway.rateLimits.count(address, true, (headers) => {
			req.limit = headers;
		});
		const fields = await readForm(req);
		token = fields.get("token") ?? "";
		if (!TOKEN.test(token)) throw commonError("VALIDATION_ERROR");
		const { action } = gateway.table.find("POST", page.route).target;
		Object.assign(req.$ctx.meta, { user: null, address });
		await (req.$ctx as unknown as Context).call(action!, {
			token,
			...(page.password ? { new_password: fields.get("new_password") ?? "" } : {}),
		});
		return htmlPage(200, page.title, `<p role="status">${page.done}</p>`);
	} catch (error) {
		const problem = toProblem(error, actionOf(gateway, page));
		req.failure = { error, code: problem.code };
		const { status, headers } = problemResponse(problem, req.id);
		const again = TOKEN.test(token) && problem.code !== "INVALID_TOKEN" ? form(page, token) : "";
		return htmlPage(
			status,
			page.title,
			`${messagesOf(problem).map(alertOf).join("")}${again}`,
			headers,
		);
	}
}

/** Returns the name of the page's action, or undefined if its service has never been available. */
function actionOf({ table }: Gateway, { route }: LinkPage): string | undefined {
	try {
		return table.find("POST", route).target.action;
	} catch {
		return undefined;
	}
}

function messagesOf({ code, detail, errors, data }: Problem): string[] {
	if (code === "INVALID_TOKEN")
		return [
			"This link is no longer valid. It has expired, was used, or was replaced by a newer one.",
		];
	if (code === "RATE_LIMITED" || code === "SERVICE_UNAVAILABLE")
		return [`${detail}. Please try again in a moment.`];
	const found = errors ?? (data as { errors?: Problem["errors"] } | undefined)?.errors ?? [];
	return found.length > 0 ? found.map(({ message }) => message) : [detail];
}

/** The form's URL is relative, so the shop can be served below a path prefix. */
function form({ path, button, password }: LinkPage, token: string): string {
	const field = password
		? '<label for="new_password">New password</label>' +
			'<input id="new_password" name="new_password" type="password"' +
			' autocomplete="new-password" minlength="8" maxlength="128" required>'
		: "";
	return `<form method="post" action="${path.slice(path.lastIndexOf("/") + 1)}">
<input type="hidden" name="token" value="${escapeHtml(token)}">
${field}<button>${button}</button></form>`;
}
