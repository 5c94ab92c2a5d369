import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

const V4_IN_V6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * Where a request came from, as far as that can be believed: the connection's other end or, behind `proxies` of our own, what the outermost of them
 * wrote. Further to the left X-Forwarded-For says what the client likes. One customer has a whole IPv6 network of 64 bits, so that is the address.
 */
export function clientAddress(
	{ socket, headers }: Pick<IncomingMessage, "headers"> & { socket: { remoteAddress?: string | undefined } },
	proxies: number,
): string {
	const { "x-forwarded-for": forwarded = "" } = headers;
	const hops = [
		...String(forwarded)
			.split(",")
			.map((hop) => hop.trim()),
		socket.remoteAddress ?? "",
	].filter((hop) => hop !== "");
	const address = hops[Math.max(0, hops.length - 1 - proxies)] ?? "";
	const plain = V4_IN_V6.exec(address)?.[1] ?? address;
	switch (isIP(plain)) {
		case 4:
			return plain;
		case 6:
			return network(plain);
		default:
			return "unknown";
	}
}

/** The first 64 bits, written in one way. */
function network(address: string): string {
	const { hostname } = new URL(`http://[${address.split("%")[0]}]`);
	const [head = "", tail] = hostname.slice(1, -1).split("::") as [string, string?];
	const groups = (part: string) => (part === "" ? [] : part.split(":"));
	const [before, after] = [groups(head), groups(tail ?? "")];
	const all = tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill("0"), ...after];
	return `${all.slice(0, 4).join(":")}::/64`;
}
