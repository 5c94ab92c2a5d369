import type { Section } from "../../section.ts";
import { MessageList } from "./message-list.tsx";
import { MessagePage } from "./message-page.tsx";
import "./messages.css";

export const messages: Section = {
	title: "Messages",
	pages: { "/messages": MessageList, "/messages/:id": MessagePage },
};
