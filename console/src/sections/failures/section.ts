import type { Section } from "../../section.ts";
import { AuditList } from "./audit-list.tsx";
import { AuditPage } from "./audit-page.tsx";
import { DeadLetterList } from "./dead-letter-list.tsx";
import { DeadLetterPage } from "./dead-letter-page.tsx";
import { StuckOrders } from "./stuck-orders.tsx";
import "./failures.css";

export const failures: Section = {
	title: "Failures",
	pages: {
		"/failures": DeadLetterList,
		"/failures/:service/:event_id": DeadLetterPage,
		"/stuck-orders": StuckOrders,
		"/audits": AuditList,
		"/audits/:id": AuditPage,
	},
};
