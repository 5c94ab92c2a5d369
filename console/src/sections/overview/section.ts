import type { Section } from "../../section.ts";
import { OverviewPage } from "./overview-page.tsx";

export const overview: Section = { title: "Overview", pages: { "/": OverviewPage } };
