import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "./body.ts";
import type { Controls } from "./controls.ts";

type Control = (...parameters: unknown[]) => Promise<unknown>;

/**
 * Handles requests below /test: `POST /test/controls/NAME` with a JSON array of parameters calls a
 * control, and `GET /test/redirect/:intent` is the page on which a payer authenticates.
 */
export function testHandler(controls: Controls) {
	return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
		const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
		const [, , kind, name = ""] = pathname.split("/");
		try {
			const body = await readBody(request);
			if (kind === "redirect") return await redirect(controls, response, name, searchParams);
			if (kind !== "controls" || !Object.hasOwn(controls, name))
				return send(response, 404, { error: `No such control: ${name}` });
			const control = controls[name as keyof Controls] as Control;
			const result = await control(...(JSON.parse(body || "[]") as unknown[]));
			send(response, 200, { result: result ?? null });
		} catch (error) {
			send(response, 400, { error: (error as Error).message });
		}
	};
}

/** Authenticates by the query `outcome` and returns the payer to the shop, as Stripe does. */
async function redirect(
	controls: Controls,
	response: ServerResponse,
	id: string,
	query: URLSearchParams,
): Promise<void> {
	const outcome = query.get("outcome") === "failed" ? "failed" : "succeeded";
	const { paymentIntents } = await controls.dump();
	const before = paymentIntents.find((intent) => intent.id === id);
	const returnUrl = before?.next_action?.redirect_to_url?.return_url;
	const intent = await controls.authenticate(id, outcome);
	if (!returnUrl) return send(response, 200, { result: intent });
	const target = new URL(returnUrl);
	target.searchParams.set("payment_intent", id);
	target.searchParams.set("payment_intent_client_secret", intent.client_secret);
	target.searchParams.set("redirect_status", outcome);
	response.writeHead(303, { location: target.href }).end();
}

function send(response: ServerResponse, status: number, body: object): void {
	response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
