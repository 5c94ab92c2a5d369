import type { ResultOf } from "../../../../clients/typescript/src/index.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Link, StatusBadge, Time } from "../../components/values.tsx";
import { TEMPLATES, timeOfId } from "./filters.ts";

type Message = ResultOf<"notifications.list">[number];
const columns: readonly Column<Message>[] = [
	{ title: "Subject", cell: ({ id, subject }) => <Link to={`/messages/${id}`}>{subject}</Link> },
	{ title: "Kind", wide: true, cell: ({ template }) => TEMPLATES[template] },
	{ title: "Recipient", wide: true, cell: ({ user_id }) => <Recipient userId={user_id} /> },
	{ title: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
	{ title: "Attempts", wide: true, align: "end", cell: ({ attempts }) => attempts },
	{ title: "Created", cell: ({ id }) => <Time at={timeOfId(id)} /> },
];

interface MessageTableProps {
	readonly label: string;
	readonly rows: readonly Message[];
	/** Shown without rows. */
	readonly empty: string;
}
export const MessageTable = ({ label, rows, empty }: MessageTableProps) => (
	<Table label={label} rows={rows} columns={columns} keyOf={({ id }) => id} empty={empty} />
);

/** @param userId null for a guest */
export const Recipient = ({ userId }: { userId: string | null }) =>
	userId ? <Link to={`/customers/${userId}`}>Customer</Link> : <>Guest</>;
