import type { Section } from "../../section.ts";
import { ClusterPage } from "./cluster-page.tsx";

export const cluster: Section = { title: "Cluster", pages: { "/cluster": ClusterPage } };
