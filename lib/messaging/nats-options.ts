import { StartError } from "../process/start-error.ts";

/**
 * Options of every connection to NATS.
 * @param urls value of TRANSPORTER: `nats://host:4222`, with `user:password@` or `token@` before
 *   the host if the server requires it; comma-separated for several servers with the same
 *   credentials
 * @param name of the connection in NATS
 * @throws StartError if a URL is invalid
 */
export function natsOptions(urls: string, name: string) {
	const servers = urls.split(",").map(parse);
	const { username, password } = servers.find((server) => server.username) ?? servers[0]!;
	const [user, pass] = [username, password].map(decodeURIComponent);
	return {
		servers: servers.map(({ host }) => host),
		name,
		...(user && (pass ? { user, pass } : { token: user })),
		maxReconnectAttempts: -1,
		reconnectTimeWait: 500,
		// By default, two rejections end a connection permanently. Credentials can be wrong for a
		// moment, while the server and the nodes get new ones.
		ignoreAuthErrorAbort: true,
	};
}

function parse(text: string): URL {
	const url = URL.parse(text);
	if (!url?.host)
		throw new StartError(
			"TRANSPORTER is not a valid URL: " +
				"percent-encode special characters in its user and password (/ is %2F, # is %23)",
		);
	return url;
}
