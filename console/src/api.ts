import { refreshSession } from "./session.ts";

export async function request(
	method: string,
	path: string,
	{ query, body, signal }: { query?: object; body?: object; signal?: AbortSignal } = {},
	// biome-ignore lint/suspicious/noExplicitAny: replaced by the typed client
): Promise<any> {
	const send = () =>
		fetch(`/api${path}?${new URLSearchParams(query as Record<string, string>)}`, {
			method,
			headers: { "Console-Request": "1", "Content-Type": "application/json" },
			...(body ? { body: JSON.stringify(body) } : {}),
			...(signal ? { signal } : {}),
		});
	let response = await send();
	if (response.status === 401 && (await refreshSession())) response = await send();
	const found = await response.json();
	if (!response.ok) throw Object.assign(new Error(found.detail), found);
	return Array.isArray(found)
		? Object.assign(found, { total: Number(response.headers.get("X-Total-Count")) })
		: found;
}
