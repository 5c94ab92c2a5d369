import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { reads, shop } from "../../api.ts";
import { ActionButton } from "../../components/action-button.tsx";
import { Facts, Page, Panel } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { StatusBadge, Time } from "../../components/values.tsx";
import { useData } from "../../data.ts";
import { TEMPLATES, timeOfId } from "./filters.ts";
import { Recipient } from "./message-table.tsx";

/** Pause between two polls, which show that a queued message is sent. */
const POLL_MS = 2000;

type Message = ResultOf<"notifications.get">;

/** A message as its recipient sees it, and the button that sends it again. */
export function MessagePage({ id }: { id: string }) {
	const message = useData((signal) => reads.notifications.get({ id }, { signal }), [id], {
		poll: POLL_MS,
	});
	return (
		<Page
			title={message.data?.subject ?? "Message"}
			actions={message.data && <Resend message={message.data} onSettled={message.reload} />}
		>
			<Loaded of={message}>
				{(found) => (
					<>
						<Envelope message={found} />
						<Panel title="HTML">
							<iframe
								class="mail"
								title="Message as HTML"
								src={`/api/notifications/${id}/html`}
								sandbox="allow-popups allow-popups-to-escape-sandbox"
								referrerpolicy="no-referrer"
							/>
						</Panel>
						<Panel title="Text">
							{/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls the text */}
							<pre class="text" tabIndex={0}>
								{found.text}
							</pre>
						</Panel>
					</>
				)}
			</Loaded>
		</Page>
	);
}

function Envelope({ message }: { message: Message }) {
	const { id, user_id, to, subject, template, status, attempts, sent_at, channel } = message;
	const { error } = message;
	return (
		<Panel title="Delivery">
			<Facts
				rows={{
					To: to || <span class="muted">The address is not stored.</span>,
					Recipient: <Recipient userId={user_id} />,
					Subject: subject,
					Kind: `${TEMPLATES[template]} (${channel})`,
					Status: <StatusBadge status={status} />,
					Attempts: attempts,
					Error: error,
					Created: <Time at={timeOfId(id)} />,
					Sent: sent_at && <Time at={sent_at} />,
				}}
			/>
			{status === "kept" && (
				<p class="hint note">No mail server is configured: the message is only shown here.</p>
			)}
			{status === "failed" && (
				<p class="hint note">
					The mail server rejected the message, all attempts failed, or the recipient received too
					many messages of this kind.
				</p>
			)}
		</Panel>
	);
}

function Resend({ message, onSettled }: { message: Message; onSettled(): void }) {
	const { id, to, status } = message;
	return (
		<ActionButton
			act={() => shop.notifications.resend({ id })}
			done="The message is queued again."
			confirm={{
				title: "Send the message again?",
				text:
					status === "sent"
						? `${to || "The recipient"} receives the message once more.`
						: `The message is sent to ${to || "its recipient"}, with all attempts.`,
				action: "Send again",
				harmless: true,
			}}
			onSettled={onSettled}
		>
			Send again …
		</ActionButton>
	);
}
