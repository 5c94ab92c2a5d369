import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import proxyAddr from "proxy-addr";

/** Some proxies add the port: 203.0.113.7:1234, [2001:db8::1]:1234. IPv6 addresses may have brackets without one. */
const WITH_PORT = /^(?:\[([^[\]]+)\]|([\d.]+))(?::\d{1,5})?$/;
/** Longer than any address, zone and port. */
const LONGEST = 100;
/** One customer usually has a whole IPv6 network of this size. */
const IPV6_PREFIX = 64;

/**
 * The address that a request came from, as far as it can be trusted: the connection's remote address or, behind `proxies` proxies of ours, the address
 * that the outermost of them wrote into X-Forwarded-For. Everything further left is chosen by the client.
 * @returns an IPv4 address, an IPv6 network such as `2001:db8:0:1::/64`, or `unknown` for anything else
 */
export function clientAddress(
	req: Pick<IncomingMessage, "headers"> & { socket: { remoteAddress?: string | undefined } },
	proxies: number,
): string {
	const hop = proxyAddr(req as IncomingMessage, (_, index) => index < proxies) ?? "";
	if (hop.length > LONGEST) return "unknown";
	const [, v6, v4] = WITH_PORT.exec(hop) ?? [];
	const address = v6 ?? v4 ?? hop;
	// First, because the patterns of ipaddr.js are not made for long texts; and most addresses are done with it.
	switch (isIP(address)) {
		case 4:
			return address;
		case 6:
			return clientOf(ipaddr.process(address));
		default:
			return "unknown";
	}
}

function clientOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
	if (address.kind() === "ipv4") return address.toString();
	return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString().split("%")[0]}/${IPV6_PREFIX}`)}/${IPV6_PREFIX}`;
}
