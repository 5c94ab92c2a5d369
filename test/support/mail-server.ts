import type { AddressInfo } from "node:net";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { freePort } from "./processes.ts";

export interface MailServer {
	/** Value for SMTP_URL. */
	readonly url: string;
	readonly port: number;
	/** Mails received completely, including those that were then rejected. */
	readonly mails: ParsedMail[];
	/** SMTP code with which a received mail is rejected, if any. */
	replyTo: (mail: ParsedMail) => number | undefined | Promise<number | undefined>;
	/** SMTP code with which each sender is rejected, if any. */
	replyToSender: () => number | undefined;
	stop(): Promise<void>;
}

const rejection = (responseCode: number | undefined) =>
	responseCode ? Object.assign(new Error("Rejected by the test"), { responseCode }) : null;

/**
 * Starts an SMTP server on the loopback address.
 * @param port by default one that no connection takes while the server restarts
 */
export async function startMailServer(port?: number): Promise<MailServer> {
	const mails: ParsedMail[] = [];
	const server = new SMTPServer({
		disabledCommands: ["STARTTLS", "AUTH"],
		onMailFrom(_address, _session, callback) {
			callback(rejection(started.replyToSender()));
		},
		onData(stream, _session, callback) {
			simpleParser(stream)
				.then((mail) => {
					mails.push(mail);
					return started.replyTo(mail);
				})
				.then(
					(code) => callback(rejection(code)),
					(error) => callback(error),
				);
		},
	});
	server.on("error", () => {}); // Clients may disconnect at any time.
	const chosen = port ?? (await freePort());
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(chosen, "127.0.0.1", resolve);
	});
	const address = server.server.address() as AddressInfo;
	const started: MailServer = {
		url: `smtp://127.0.0.1:${address.port}`,
		port: address.port,
		mails,
		replyTo: () => undefined,
		replyToSender: () => undefined,
		stop: () => new Promise((resolve) => server.close(resolve)),
	};
	return started;
}
