import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import proxyAddr from "proxy-addr";

/**
 * Address with a port, as some proxies send it: 203.0.113.7:1234, [2001:db8::1]:1234. IPv6
 * addresses may have brackets without a port.
 */
const WITH_PORT = /^(?:\[([^[\]]+)\]|([\d.]+))(?::\d{1,5})?$/;
/** Maximum length of an address with zone and port. */
const MAX_LENGTH = 100;
/** Size of the IPv6 network that a provider usually assigns to one customer. */
const IPV6_PREFIX = 64;

/**
 * Returns the trustworthy address of a client: the connection's remote address or, behind `proxies`
 * trusted proxies, the address that the outermost of them appended to X-Forwarded-For. The client
 * controls everything further left.
 * @returns an IPv4 address, an IPv6 network such as `2001:db8:0:1::/64`, or `unknown` for anything
 * else
 */
export function clientAddress(
	req: Pick<IncomingMessage, "headers"> & { socket: { remoteAddress?: string | undefined } },
	proxies: number,
): string {
	const hop = proxyAddr(req as IncomingMessage, (_, index) => index < proxies) ?? "";
	if (hop.length > MAX_LENGTH) return "unknown";
	const [, v6, v4] = WITH_PORT.exec(hop) ?? [];
	const address = v6 ?? v4 ?? hop;
	// Before ipaddr.js, whose patterns are slow for long texts.
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
	const [withoutZone] = address.toNormalizedString().split("%");
	const network = ipaddr.IPv6.networkAddressFromCIDR(`${withoutZone}/${IPV6_PREFIX}`);
	return `${network}/${IPV6_PREFIX}`;
}
