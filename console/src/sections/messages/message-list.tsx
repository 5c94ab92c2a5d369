import { reads } from "../../api.ts";
import { Filters, SelectFilter, TextFilter } from "../../components/form.tsx";
import { Page } from "../../components/page.tsx";
import { Loaded } from "../../components/states.tsx";
import { Paging, pageOfQuery } from "../../components/table.tsx";
import { useData } from "../../data.ts";
import { query } from "../../router.ts";
import { filtersOf, STATUSES, TEMPLATES } from "./filters.ts";
import { MessageTable } from "./message-table.tsx";

const POLL_MS = 3000;

/** List of the messages, newest first. New messages appear by polling. */
export function MessageList() {
	const position = pageOfQuery();
	const found = useData(
		(signal) => {
			const { skip, limit } = position;
			return reads.notifications.list({ skip, limit, ...filtersOf(query.value) }, { signal });
		},
		[query.value.toString()],
		{ poll: POLL_MS },
	);
	return (
		<Page title="Messages">
			<Filters>
				<TextFilter label="Recipient or subject" name="q" />
				<SelectFilter label="Kind" name="template" choices={TEMPLATES} />
				<SelectFilter label="Status" name="status" choices={STATUSES} />
			</Filters>
			<Loaded of={found}>
				{(rows) => (
					<>
						<MessageTable
							label="Messages"
							rows={rows}
							empty="No message matches. Enter the whole e-mail address of a guest."
						/>
						<Paging position={position} rows={rows} />
					</>
				)}
			</Loaded>
		</Page>
	);
}
