import type { Section } from "../../section.ts";
import { CustomerList } from "./customer-list.tsx";
import { CustomerPage } from "./customer-page.tsx";
import "./customers.css";

export const customers: Section = {
	title: "Customers",
	pages: { "/customers": CustomerList, "/customers/:id": CustomerPage },
};
