import type { Section } from "../../section.ts";
import { PreviewPage } from "./preview-page.tsx";

export const preview: Section = { title: "Price preview", pages: { "/preview": PreviewPage } };
