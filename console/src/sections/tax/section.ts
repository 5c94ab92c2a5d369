import type { Section } from "../../section.ts";
import { RateTable } from "./rate-table.tsx";

export const tax: Section = { title: "Tax", pages: { "/tax": RateTable } };
