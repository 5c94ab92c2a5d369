import type { Login } from "./seed.ts";

interface Screen {
	/** URL of the gateway; undefined if this process has none. */
	readonly url: string | undefined;
	readonly services: readonly string[];
	readonly logins: readonly Login[];
	/** Id of a product in stock. */
	readonly productId: string | undefined;
	/** Folders that contain data; empty if the databases are on a server. */
	readonly places: readonly string[];
	/** Whether the prompt opens below the screen. */
	readonly prompt: boolean;
}

/** The start screen: address, logins, an example order, and how to stop. */
export function screen({ url, services, logins, productId, places, prompt }: Screen): string {
	const customer = logins.find(({ role, password }) => role === "user" && password);
	const admin = logins.find(({ role }) => role === "admin");
	const line = (label: string, text: string) => `  ${label.padEnd(14)} ${text}`;
	const data = places.length > 0 ? `${places.join(" and ")} (delete to start over)` : undefined;
	const stop = prompt
		? "exit, or Ctrl-C; help lists all commands of the prompt"
		: `Ctrl-C, or kill ${process.pid}`;
	return [
		"",
		url ? `The shop is open at ${url}` : `Running without a gateway: ${services.join(", ")}`,
		"",
		...logins.map(({ label, email, password = "(login with the configured password fails)" }) =>
			line(label, `${email.padEnd(24)} ${password}`),
		),
		...(url && customer && productId
			? ["", "Log in and place an order:", "", ...tour(url, customer, productId), ""]
			: [""]),
		...(url
			? [
					line("Console", `${url}/console${admin ? ` (sign in as ${admin.email})` : ""}`),
					line("API", `${url}/docs`),
				]
			: []),
		line("Data", data ?? "on the server of DATABASE_URL"),
		line("Stop", stop),
		"",
	].join("\n");
}

function tour(url: string, { email, password }: Login, productId: string): string[] {
	const json = "-H 'Content-Type: application/json'";
	const tokenOf = `sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'`;
	return [
		`  TOKEN=$(curl -s ${url}/api/users/login ${json} \\`,
		`    -d '${JSON.stringify({ email, password })}' | ${tokenOf})`,
		`  curl -s ${url}/api/orders -H "Authorization: Bearer $TOKEN" ${json} \\`,
		`    -d '${JSON.stringify({ items: [{ product_id: productId, quantity: 1 }] })}'`,
	];
}
