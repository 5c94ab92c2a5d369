import type { Login } from "./seed.ts";

export interface Screen {
	/** Where the gateway listens; undefined where this process has none. */
	readonly url: string | undefined;
	readonly services: readonly string[];
	readonly logins: readonly Login[];
	/** Something that can be ordered. */
	readonly productId: string | undefined;
	/** The folders with data of ours; none where the databases are elsewhere. */
	readonly places: readonly string[];
	/** Whether moleculer's prompt follows. */
	readonly prompt: boolean;
}

/** Everything that somebody who has just started the shop needs to know. */
export function screen({ url, services, logins, productId, places, prompt }: Screen): string {
	const customer = logins.find(({ role, password }) => role === "user" && password);
	return [
		"",
		url ? `The shop is open at ${url}` : `Running without a gateway: ${services.join(", ")}`,
		"",
		...logins.map(
			({ label, email, password }) =>
				`  ${label.padEnd(14)} ${email.padEnd(24)} ${password ?? "(the configured password is not accepted)"}`,
		),
		...(url && customer && productId
			? ["", "Log in and place an order:", "", ...tour(url, customer, productId), ""]
			: [""]),
		...(url ? [`  ${"API".padEnd(14)} ${url}/docs`] : []),
		`  ${"Data".padEnd(14)} ${places.length > 0 ? `${places.join(" and ")} (delete to begin anew)` : "on the server of DATABASE_URL"}`,
		`  ${"Stop".padEnd(14)} ${prompt ? "exit, or Ctrl-C; help lists what else the prompt can do" : `Ctrl-C, or kill ${process.pid}`}`,
		"",
	].join("\n");
}

function tour(url: string, { email, password }: Login, productId: string): string[] {
	const json = "-H 'Content-Type: application/json'";
	return [
		`  TOKEN=$(curl -s ${url}/api/users/login ${json} \\`,
		`    -d '${JSON.stringify({ email, password })}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
		`  curl -s ${url}/api/orders -H "Authorization: Bearer $TOKEN" ${json} \\`,
		`    -d '${JSON.stringify({ items: [{ product_id: productId, quantity: 1 }] })}'`,
	];
}
