import type { AddressInfo } from "node:net";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";

export interface MailServer {
	/** An SMTP_URL. */
	readonly url: string;
	readonly port: number;
	/** What was received whole, also what was then refused. */
	readonly mails: ParsedMail[];
	/** Decides on a mail that was received: a number is the code that refuses it. */
	answer: (mail: ParsedMail) => number | undefined | Promise<number | undefined>;
	stop(): Promise<void>;
}

/** A real mail server on the loopback address. */
export async function startMailServer(port = 0): Promise<MailServer> {
	const mails: ParsedMail[] = [];
	const server = new SMTPServer({
		disabledCommands: ["STARTTLS", "AUTH"],
		onData(stream, _session, callback) {
			simpleParser(stream)
				.then((mail) => {
					mails.push(mail);
					return started.answer(mail);
				})
				.then(
					(code) =>
						callback(
							code ? Object.assign(new Error("Not this one"), { responseCode: code }) : null,
						),
					(error) => callback(error),
				);
		},
	});
	server.on("error", () => {}); // a client that was cut off
	await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
	const address = server.server.address() as AddressInfo;
	const started: MailServer = {
		url: `smtp://127.0.0.1:${address.port}`,
		port: address.port,
		mails,
		answer: () => undefined,
		stop: () => new Promise((resolve) => server.close(resolve)),
	};
	return started;
}
